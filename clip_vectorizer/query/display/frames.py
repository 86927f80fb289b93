"""Frames around parts of a thumbnail: drawn into its pixels for a terminal, as SVG above it in a page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from clip_vectorizer.vectors import Box

COLOUR, EDGE = "#d55e00", "#ffffff"  # vermillion of Okabe and Ito's palette, which colour-blind people tell apart
LINE = 3  # pixels, the light edge included
PRECISION = 3  # digits of an SVG's numbers, in thumbnail pixels


def draw_frames(image: Image.Image, boxes: Sequence[Box], line: int = LINE) -> Image.Image:
    """Return a copy with a frame around each box (shares of its sides), the first one on top."""
    framed = image.copy()
    draw = ImageDraw.Draw(framed)
    for box in reversed(boxes):
        corners = find_pixels(box, image.size)
        if line > 1:
            draw.rectangle(corners, outline=EDGE, width=line)
        draw.rectangle(corners, outline=COLOUR, width=max(1, line - 1))
    return framed


def find_pixels(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the first and the last pixel inside a box: left, top, right, bottom.

    >>> find_pixels((0.5, 0, 1, 1), (8, 4))
    (4, 0, 7, 3)
    """
    width, height = size
    left, top = min(int(box[0] * width), width - 1), min(int(box[1] * height), height - 1)
    return left, top, max(left, round(box[2] * width) - 1), max(top, round(box[3] * height) - 1)


@dataclass(frozen=True, slots=True)
class Frame:
    """A box in the coordinates of an SVG, and how it is drawn: best or other."""

    kind: str
    x: float
    y: float
    width: float
    height: float


def list_frames(boxes: Sequence[Box], size: tuple[int, int]) -> Iterator[Frame]:
    """Yield the frames of boxes (shares of the sides) in a picture of `size`, in the order of drawing: the first box
    is the best one, and drawn last.

    >>> list(list_frames([(0, 0, 0.5, 1)], (8, 4)))
    [Frame(kind='best', x=0, y=0, width=4.0, height=4)]
    """
    for index, box in reversed(list(enumerate(boxes))):
        x0, y0, x1, y1 = (round(share * side, PRECISION) for share, side in zip(box, size * 2, strict=True))
        yield Frame("best" if index == 0 else "other", x0, y0, x1 - x0, y1 - y0)


def render_frames(boxes: Sequence[Box], size: tuple[int, int]) -> str:
    """Return an SVG for a picture of `size`, to be laid over it; the first box is drawn strongest."""
    width, height = size
    lines = [f'<svg viewBox="0 0 {width} {height}" aria-hidden="true">']
    for each in list_frames(boxes, size):
        place = f'x="{each.x:g}" y="{each.y:g}" width="{each.width:g}" height="{each.height:g}"'
        lines.append(f'<rect class="edge {each.kind}" {place}/><rect class="line {each.kind}" {place}/>')
    return "".join([*lines, "</svg>"])
