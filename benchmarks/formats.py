"""Writes docs/formats.md: what becomes of every file of the corpus, here, in two peers, and in Chromium.

Our column comes from our decoder, Chromium's from the corpus (tests/images/test_browser.py compares both with the
browser). With `--peers` the peers' columns are measured again, by the Pillow that each of them has; else they stay.
"""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.opener import decode_image
from tests.images.case import CorpusCase, Rgb, mean_difference
from tests.images.corpus import all_cases, cases_by_section, write_corpus

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "formats.md"
MOST_SENTENCE = 110  # characters of a refusal
Cells = dict[str, str]


@dataclass(frozen=True, slots=True)
class PillowPeer:
    """A program that opens images by plain Pillow."""

    key: str  # of plain_pillow.py
    name: str
    pillow: str  # its version


# Pillow's versions: rclip's uv.lock; the container pins none, 12.0.0 was the newest when its requirements were.
PEERS = (PillowPeer("rclip", "rclip 3.3.0", "12.3.0"), PillowPeer("weaviate", "Weaviate's container", "12.0.0"))
COLUMNS = ("file", "what it is", "Chromium 156", *(peer.name for peer in PEERS), "clip-vectorizer")
INTRODUCTION = """# Image formats

What becomes of every kind of file. `python -m benchmarks.formats` writes this page, and a test fails when it is not
current. The files are made by code (`tests/images/corpus.py`); each stands for a kind that is found in the wild.

What is embedded is what a viewer shows: the first picture of the file, upright, in sRGB by its profile, on white where
it is transparent. A file of which rows are missing is taken if the share `--least-decoded` of them is there, and
marked. The type is found by the content, never by the extension.

| cell | means |
| --- | --- |
| opened | the right pixels, within 2 grey levels in the mean (a few lossy or high-range cases: 12) |
| damaged | taken, and what is missing is in the report and in the property `damaged` |
| other pixels, N | taken without a word; N grey levels from the right pixels in the mean: colours, side or picture |
| refused | not taken; ours names the file for what it is |
| - | Chromium shows no such format |

Peers open images with plain Pillow: rclip 3.3.0 with Pillow 12.3.0 and `LOAD_TRUNCATED_IMAGES`, and only files of its
extensions; Weaviate's multi2vec-clip container with Pillow 12.0.0. Both drop transparency and EXIF's orientation. Where
Chromium shows something else, its cell says why.

Broken variants of these files (flipped bits, cuts, splices, extreme numbers): `python -m benchmarks.fuzz_images
--seed 7` sent 20,000 of them through the decoder and through the preview of `clip-ingest`: nothing but refusals was
raised, none took longer than 3.9 s of the processor, no memory was left behind (AMD EPYC, 2 cores, 2026-11-29). `make
test` does so with 1,500.
"""


@click.command()
@click.option("--peers", is_flag=True, help="Measure the peers' columns too; their versions of Pillow are downloaded.")
def main(peers: bool) -> None:
    """Write docs/formats.md.

    \b
    Example:
      python -m benchmarks.formats --peers
    """
    cells = measure_peers() if peers else read_peers(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(render_page(cells), encoding="utf-8")
    click.echo(f"{PAGE.relative_to(REPOSITORY)}: {len(all_cases())} files")


def measure_peers() -> dict[str, Cells]:
    """By the peer's name, the cell of every file."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "files")
        write_corpus(files)
        return {peer.name: measure_peer(peer, files, Path(folder, peer.key)) for peer in PEERS}


def measure_peer(peer: PillowPeer, files: Path, library: Path) -> Cells:
    """Install its Pillow into `library` and open all `files` with it."""
    uv = str(Path(sys.executable).with_name("uv"))
    wanted = ["--python", sys.executable, "--target", str(library), f"pillow=={peer.pillow}"]
    subprocess.run([uv, "pip", "install", "--quiet", *wanted], check=True)
    command = [sys.executable, str(Path(__file__).with_name("plain_pillow.py")), str(files), peer.key]
    done = subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PYTHONPATH": str(library)})
    results = json.loads(done.stdout)
    return {case.name: describe_peer(case, results[case.name]) for case in all_cases()}


def describe_peer(case: CorpusCase, result: list[object]) -> str:
    if result[0] == "refused":
        return "refused"
    _, width, height, text = result
    pixels = np.frombuffer(base64.b64decode(str(text)), np.uint8).reshape(int(str(height)), int(str(width)), 3)
    return describe_pixels(case, pixels)


def describe_pixels(case: CorpusCase, pixels: Rgb) -> str:
    if case.truth is None:
        return "opened"
    difference = mean_difference(pixels, case.truth)
    return "opened" if difference <= case.levels else f"other pixels, {difference:.0f}"


def describe_ours(case: CorpusCase) -> str:
    """The cell of our column."""
    try:
        decoded = decode_image(case.data)
    except ImageRefused as refused:
        return f"refused: {shorten(refused.reason)}"
    if decoded.damage:
        return f"damaged: {decoded.damage}"
    return describe_pixels(case, np.asarray(decoded.pixels))


def shorten(sentence: str) -> str:
    flat = " ".join(sentence.split()).replace("|", "\\|")
    return flat if len(flat) <= MOST_SENTENCE else flat[: MOST_SENTENCE - 3] + "..."


def describe_browser(case: CorpusCase) -> str:
    if case.browser == "same":
        return "opened"
    return "-" if case.browser == "nothing" else case.why


def read_peers(page: str) -> dict[str, Cells]:
    """The peers' columns of the page as it is; "not measured" for a file that it does not have."""
    rows = [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in page.splitlines() if line.startswith("| `")]
    found: dict[str, Cells] = {peer.name: {} for peer in PEERS}
    for row in rows:
        for index, peer in enumerate(PEERS):
            found[peer.name][row[0].strip("`")] = row[3 + index]
    return {
        name: {case.name: cells.get(case.name, "not measured") for case in all_cases()} for name, cells in found.items()
    }


def render_page(peers: Mapping[str, Cells]) -> str:
    """The whole page; our column is computed."""
    ours = {case.name: describe_ours(case) for case in all_cases()}
    columns: dict[str, Cells] = {**peers, "clip-vectorizer": ours}
    parts = [INTRODUCTION, "\n".join(summary_rows(columns))]
    for section, cases in cases_by_section().items():
        rows = [render_row(case, columns) for case in cases]
        head = f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}"
        parts.append("\n".join([f"## {section}\n", head, *rows]))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def render_row(case: CorpusCase, columns: Mapping[str, Cells]) -> str:
    cells = [f"`{case.name}`", case.what, describe_browser(case), *(column[case.name] for column in columns.values())]
    return f"| {' | '.join(cells)} |"


def summary_rows(columns: Mapping[str, Cells]) -> Iterator[str]:
    """How many files became what, a row a program."""
    kinds: dict[str, Callable[[str], bool]] = {
        "opened": lambda cell: cell == "opened",
        "damaged, and said": lambda cell: cell.startswith("damaged"),
        "other pixels, nothing said": lambda cell: cell.startswith("other pixels"),
        "refused": lambda cell: cell.startswith("refused"),
    }
    yield f"| of {len(all_cases())} files | {' | '.join(kinds)} |"
    yield f"|{' --- |' * (len(kinds) + 1)}"
    for name, cells in columns.items():
        counts = Counter(kind for cell in cells.values() for kind, fits in kinds.items() if fits(cell))
        yield f"| {name} | {' | '.join(str(counts[kind]) for kind in kinds)} |"


if __name__ == "__main__":
    main()
