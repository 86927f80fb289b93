"""Draws `docs/search.png`: commands of `clip-search` and the images that they find.

eval "$(clip-demo up)"
clip-ingest examples/images
python examples/search_picture.py docs/search.png
"""

import json
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

REPOSITORY = Path(__file__).parent.parent
EXAMPLES = REPOSITORY / "examples" / "images"
SEARCHES = (
    'clip-search "a red apple"',
    "clip-search --image examples/images/animals/cat.png",
    "clip-search --image examples/images/fruit/red-apple.png --plus green --minus red",
)
HITS = 6
SCALE = 2  # pixels drawn for each pixel on a page, for sharp screens
WIDTH, MARGIN, THUMBNAIL, CELL = 800, 20, 84, 126  # pixels on a page
COMMAND_HEIGHT, ROW_HEIGHT = 34, 168
COMMAND_SIZE, LINE_SIZE = 16, 13  # of letters
INK, FAINT, BAR = "#1f2328", "#59636e", "#f6f8fa"
COLOURS = 64  # of the picture's palette


@dataclass(frozen=True, slots=True)
class PictureRow:
    """A command and what it printed with --json, best first."""

    command: str
    hits: Sequence[dict[str, Any]]


def draw_search_picture(file: Path, options: Sequence[str] = ()) -> list[PictureRow]:
    """Run each search with `options` and draw the results into `file`. Raise RuntimeError when one fails."""
    rows = [PictureRow(command, run_search(command, options)) for command in SEARCHES]
    height = MARGIN + len(rows) * (COMMAND_HEIGHT + ROW_HEIGHT)
    picture = Image.new("RGB", (WIDTH * SCALE, height * SCALE), "white")
    for place, row in enumerate(rows):
        draw_row(picture, row, MARGIN + place * (COMMAND_HEIGHT + ROW_HEIGHT))
    picture.quantize(COLOURS).save(file, optimize=True)
    return rows


def run_search(command: str, options: Sequence[str]) -> list[dict[str, Any]]:
    program, *words = shlex.split(command)
    line = [str(Path(sysconfig.get_path("scripts")) / program), *words, "--limit", str(HITS), "--json", *options]
    done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return [json.loads(printed) for printed in done.stdout.splitlines()]


def draw_row(picture: Image.Image, row: PictureRow, top: int) -> None:
    pen = ImageDraw.Draw(picture)
    bar = (MARGIN * SCALE, top * SCALE, (WIDTH - MARGIN) * SCALE, (top + COMMAND_HEIGHT) * SCALE)
    pen.rounded_rectangle(bar, radius=6 * SCALE, fill=BAR)
    write(pen, (MARGIN + 12, top + COMMAND_HEIGHT // 2), f"$ {row.command}", COMMAND_SIZE, INK, anchor="lm")
    for place, hit in enumerate(row.hits):
        middle = MARGIN + CELL // 2 + place * CELL
        paste_thumbnail(picture, EXAMPLES / hit["path"], middle - THUMBNAIL // 2, top + COMMAND_HEIGHT + 14)
        below = top + COMMAND_HEIGHT + THUMBNAIL + 28
        write(pen, (middle, below), Path(hit["path"]).stem.replace("-", " "), LINE_SIZE, INK)
        write(pen, (middle, below + 18), f"{hit['similarity']:.3f}", LINE_SIZE, FAINT)


def paste_thumbnail(picture: Image.Image, file: Path, left: int, top: int) -> None:
    side = THUMBNAIL * SCALE
    with Image.open(file) as opened:
        drawing = opened.convert("RGBA").resize((side, side), Image.Resampling.LANCZOS)
    picture.paste(drawing, (left * SCALE, top * SCALE), drawing)


def write(
    pen: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, colour: str, anchor: str = "mm"
) -> None:
    """One line in Pillow's own font, which every machine has."""
    font = ImageFont.load_default(size * SCALE)
    pen.text((place[0] * SCALE, place[1] * SCALE), text, colour, font, anchor)


if __name__ == "__main__":
    draw_search_picture(Path(sys.argv[1]))
