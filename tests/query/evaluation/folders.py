"""Labelled folders of one-colour pictures, which the fake sidecar distinguishes by their colour."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.query.fakes import picture

COLOURS = ("red", "green", "blue")
CHINESE = {"red": "red 红", "green": "green 绿", "blue": "blue 蓝"}  # the fake sidecar reads the English word


def labelled(root: Path, counts: Mapping[str, int], captions: bool = True) -> Path:
    """A folder a colour, `counts` pictures in each. Captions in two languages, equal within a colour."""
    for colour, count in counts.items():
        for number in range(count):
            file = root / colour / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(picture(colour))
            if captions:
                file.with_suffix(".txt").write_text(f"{colour} thing · {CHINESE[colour]}\n", encoding="utf-8")
    return root


def silent(_: str) -> None:
    pass


def each(count: int, colours: Sequence[str] = COLOURS) -> dict[str, int]:
    return dict.fromkeys(colours, count)
