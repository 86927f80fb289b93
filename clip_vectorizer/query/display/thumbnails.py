"""Thumbnails between the lines of a terminal, by the best method that the terminal supports.

kitty     https://sw.kovidgoyal.net/kitty/graphics-protocol/: PNG, base64, at most 4,096 characters a sequence
iterm     https://iterm2.com/documentation-images.html: the unchanged file, base64, in one sequence
blocks    U+2580, the upper half of a cell in one colour, the lower in another: two pixels per cell
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from PIL import Image
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import ControlType, Segment
from rich.style import Style
from rich.text import Text

from clip_vectorizer.query.display.frames import draw_frames
from clip_vectorizer.vectors import Box

COLUMNS, ROWS = 12, 6  # a square: a cell is about twice as high as it is wide
MIN_COLUMNS = 60  # a narrower terminal needs all its columns for the path
CHUNK_LENGTH = 4096  # base64 characters: kitty's limit for one sequence
UPPER_HALF = "▀"
MAX_PIXELS = 1_000_000  # a thumbnail has at most 65,536


class DrawingMethod(StrEnum):
    KITTY = "kitty"
    ITERM = "iterm"
    BLOCKS = "blocks"


def choose_method(
    env: Mapping[str, str], is_terminal: bool, wanted: bool | None, columns: int = 80
) -> DrawingMethod | None:
    """Return how thumbnails are drawn here; None: not at all.

    `wanted` False: never. True: blocks if no better method is detected, also in a pipe. None: only in a terminal that
    supports it. `columns`: width of the terminal.
    """
    unsuitable = not is_terminal or env.get("NO_COLOR") or env.get("TERM") == "dumb" or columns < MIN_COLUMNS
    if wanted is False or (wanted is None and unsuitable):
        return None
    if is_terminal and (method := detect_method(env)):
        return method
    return DrawingMethod.BLOCKS if wanted or env.get("COLORTERM") in ("truecolor", "24bit") else None


def detect_method(env: Mapping[str, str]) -> DrawingMethod | None:
    """Return the image protocol of the terminal, as far as the environment shows it."""
    term, program = env.get("TERM", ""), env.get("TERM_PROGRAM", "")
    if "TMUX" in env or term.startswith(("tmux", "screen")):
        return None  # these do not pass images on
    if "kitty" in term or "ghostty" in term or "KITTY_WINDOW_ID" in env or program == "ghostty":
        return DrawingMethod.KITTY
    if program in ("iTerm.app", "WezTerm", "mintty") or env.get("LC_TERMINAL") == "iTerm2":
        return DrawingMethod.ITERM
    return None


def draw_thumbnail(jpeg: bytes | None, method: DrawingMethod, boxes: Sequence[Box] = ()) -> RenderableType:
    """Return one thumbnail, COLUMNS wide, with frames around `boxes`; blank if there is none or it cannot be read."""
    if not jpeg:
        return Text("")
    image = decode_thumbnail(jpeg)
    if image is None:
        return Text("")
    if method is DrawingMethod.BLOCKS:
        return draw_blocks(image, boxes)
    if boxes:
        image = draw_frames(image, boxes)
        jpeg = encode_png(image)
    columns, half_rows = fit_size(image, COLUMNS, 2 * ROWS)
    rows = max(1, half_rows // 2)
    return InlineImage(
        kitty_sequence(image, columns, rows) if method is DrawingMethod.KITTY else iterm_sequence(jpeg, columns, rows),
        rows,
    )


def decode_thumbnail(jpeg: bytes) -> Image.Image | None:
    try:
        with Image.open(io.BytesIO(jpeg)) as opened:
            return opened.convert("RGB") if opened.width * opened.height <= MAX_PIXELS else None
    except Exception:  # Pillow raises many types on broken files; show the result without its image
        return None


def encode_png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=1)
    return file.getvalue()


def draw_blocks(image: Image.Image, boxes: Sequence[Box] = ()) -> Text:
    """Draw two pixels per cell, one above the other."""
    width, height = fit_size(image, COLUMNS, 2 * ROWS)
    small = image.resize((width, height + height % 2), Image.Resampling.LANCZOS)
    small = draw_frames(small, boxes, line=1) if boxes else small
    lines = [draw_block_line(small, row) for row in range(0, small.height, 2)]
    return Text("\n").join(lines)


def draw_block_line(small: Image.Image, row: int) -> Text:
    line = Text(no_wrap=True)
    for column in range(small.width):
        line.append(UPPER_HALF, Style(color=read_color(small, column, row), bgcolor=read_color(small, column, row + 1)))
    return line


def read_color(small: Image.Image, column: int, row: int) -> Color:
    red, green, blue = small.getpixel((column, row))  # type: ignore[misc]  # RGB: three of them
    return Color.from_rgb(red, green, blue)


def fit_size(image: Image.Image, width: int, height: int) -> tuple[int, int]:
    """Return the largest size with the image's proportions that fits; no side under 1."""
    scale = min(width / image.width, height / image.height)
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


@dataclass(frozen=True, slots=True)
class InlineImage:
    """An image drawn by the terminal itself, sent after its last row is printed: the terminal need not scroll."""

    sequence: str
    rows: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        blank = " " * COLUMNS
        for _ in range(self.rows - 1):
            yield Segment(blank)
            yield Segment.line()
        yield Segment(blank)
        yield Segment(self._placed(), None, [(ControlType.CURSOR_UP, 0)])

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(COLUMNS, COLUMNS)

    def _placed(self) -> str:
        """Return the sequence that draws from the first row and column of its cell and restores the cursor."""
        up = f"\x1b[{self.rows - 1}A" if self.rows > 1 else ""
        return f"\x1b7{up}\x1b[{COLUMNS}D{self.sequence}\x1b8"


def kitty_sequence(image: Image.Image, columns: int, rows: int) -> str:
    """Return a sequence with a PNG (f=100) that is shown at once (a=T), without a reply from the terminal (q=2).

    Only the longer side is given in cells, so the proportions do not depend on the shape of a cell.
    """
    data = base64.b64encode(encode_png(image)).decode("ascii")
    chunks = [data[start : start + CHUNK_LENGTH] for start in range(0, len(data), CHUNK_LENGTH)]
    size = f"c={columns}" if columns == COLUMNS else f"r={rows}"
    keys = [f"a=T,f=100,q=2,C=1,{size},", *[""] * (len(chunks) - 1)]
    more = [1] * (len(chunks) - 1) + [0]
    return "".join(f"\x1b_G{key}m={m};{chunk}\x1b\\" for key, m, chunk in zip(keys, more, chunks, strict=True))


def iterm_sequence(jpeg: bytes, columns: int, rows: int) -> str:
    data = base64.b64encode(jpeg).decode("ascii")
    return f"\x1b]1337;File=inline=1;size={len(jpeg)};width={columns};height={rows};preserveAspectRatio=1:{data}\x07"
