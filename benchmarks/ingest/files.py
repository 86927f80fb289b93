"""A folder of photographs as a camera roll and the web mix them: some sizes, every file another.

Few are drawn, for 12 megapixels take seconds; copies of one differ by a comment of the JPEG file, so that no two files
are equal and every picture decodes like a new one.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.photographs import add_comment, make_photographs


@dataclass(frozen=True, slots=True)
class Kind:
    size: tuple[int, int]  # width and height
    share: int  # of 100 files
    seeds: int  # different pictures of it


MIX = (
    Kind((640, 480), 40, 24),
    Kind((1024, 768), 30, 16),
    Kind((1280, 960), 29, 16),
    Kind((4000, 3000), 1, 3),
)


def fill(folders: Mapping[Path, int], mix: tuple[Kind, ...] = MIX) -> None:
    """Puts that many files into each folder, made if missing. No two are equal; equal calls give equal files."""
    made = pictures(mix)
    kinds = shuffled(mix)
    number = 0
    for folder, count in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            kind = next(kinds)
            name = f"photograph-{number:06}"
            picture = made[kind.size][number % kind.seeds]
            (folder / f"{name}.jpg").write_bytes(add_comment(picture, name.encode()))
            number += 1


def pictures(mix: tuple[Kind, ...]) -> dict[tuple[int, int], list[bytes]]:
    """JPEG files by size, one a seed."""
    return {kind.size: make_photographs(kind.seeds, size=kind.size) for kind in mix}


def shuffled(mix: tuple[Kind, ...]) -> Iterator[Kind]:
    """Without end; any hundred in a row that begins at a multiple of one hundred has the shares of `mix`."""
    order = random.Random(0)
    hundred = [kind for kind in mix for _ in range(kind.share)]
    while True:
        order.shuffle(hundred)
        yield from hundred
