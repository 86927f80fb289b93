"""Frames around parts of a thumbnail: drawn into its pixels for a terminal, as SVG above it in a page."""

from collections.abc import Sequence

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


def render_frames(boxes: Sequence[Box], size: tuple[int, int]) -> str:
    """Return an SVG for a picture of `size`, to be laid over it; the first box is drawn strongest."""
    width, height = size
    lines = [f'<svg viewBox="0 0 {width} {height}" aria-hidden="true">']
    for index, box in reversed(list(enumerate(boxes))):
        x0, y0, x1, y1 = (round(share * side, PRECISION) for share, side in zip(box, (width, height) * 2, strict=True))
        place = f'x="{x0:g}" y="{y0:g}" width="{x1 - x0:g}" height="{y1 - y0:g}"'
        kind = "best" if index == 0 else "other"
        lines.append(f'<rect class="edge {kind}" {place}/><rect class="line {kind}" {place}/>')
    return "".join([*lines, "</svg>"])
