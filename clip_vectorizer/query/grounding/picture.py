"""A picture with the boxes of its phrases drawn into it, by Pillow."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from clip_vectorizer.query.grounding.groundings import PictureGroundings
from clip_vectorizer.query.grounding.labels import LIGHT, choose_colour, choose_ink, place_labels
from clip_vectorizer.vectors import Box

LEAST_SIDE = 640  # of the drawn picture's longer side: labels on a thumbnail would cover it
SHARE_OF_LINE, SHARE_OF_TEXT = 1 / 240, 1 / 36  # of the longer side
LEAST_TEXT = 14  # pixels
PADDING = 0.25  # of the text's height, on all sides
ELLIPSIS = "..."
UNKNOWN = "\uffff"  # no font has it: drawn as the sign of a missing letter
# Fonts with Chinese characters, as systems name them; Pillow's own has Latin letters only.
FONTS = (
    *("NotoSansCJK-Regular.ttc", "NotoSansSC-Regular.otf", "SourceHanSansSC-Regular.otf", "wqy-microhei.ttc"),
    *("wqy-zenhei.ttc", "DroidSansFallbackFull.ttf", "PingFang.ttc", "STHeiti Light.ttc", "msyh.ttc", "simhei.ttf"),
)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class DrawnLabel:
    """A box with its label, in pixels of the drawn picture."""

    box: Box
    text: str
    colour: str


def draw_picture(pixels: Image.Image, found: PictureGroundings) -> Image.Image:
    """The picture with labelled boxes; a small one is enlarged, so that its labels are readable.

    A phrase that no font here can draw is labelled by its number in the table.
    """
    drawn = enlarge(pixels)
    labels = list_labels(found, drawn.size)
    draw = ImageDraw.Draw(drawn)
    for label in labels:
        draw_box(draw, label, max(2, round(max(drawn.size) * SHARE_OF_LINE)))
    draw_labels(draw, labels, drawn.size)
    return drawn


def encode_picture(pixels: Image.Image, found: PictureGroundings) -> bytes:
    """The drawn picture as a PNG file."""
    file = io.BytesIO()
    draw_picture(pixels, found).save(file, "PNG")
    return file.getvalue()


def enlarge(pixels: Image.Image) -> Image.Image:
    factor = -(-LEAST_SIDE // max(pixels.size))
    size = (pixels.width * factor, pixels.height * factor)
    return pixels.convert("RGB") if factor == 1 else pixels.convert("RGB").resize(size, Image.Resampling.BICUBIC)


def list_labels(found: PictureGroundings, size: tuple[int, int]) -> list[DrawnLabel]:
    labels = []
    for index, grounding in enumerate(found):
        name = grounding.phrase.text if can_draw(grounding.phrase.text) else f"#{index + 1}"
        for box in grounding.boxes:
            left, top, right, bottom = (share * side for share, side in zip(box.box, size * 2, strict=True))
            labels.append(DrawnLabel((left, top, right, bottom), f"{name} {box.probability:.2f}", choose_colour(index)))
    return labels


def draw_box(draw: ImageDraw.ImageDraw, label: DrawnLabel, line: int) -> None:
    """On any ground: the coloured line has a light and a dark one beside it."""
    for colour, inset, width in (("#000000", -1, 1), (label.colour, 0, line), (LIGHT, line, 1)):
        left, top, right, bottom = label.box
        corners = (left + inset, top + inset, right - 1 - inset, bottom - 1 - inset)
        if corners[0] <= corners[2] and corners[1] <= corners[3]:
            draw.rectangle(corners, outline=colour, width=width)


def draw_labels(draw: ImageDraw.ImageDraw, labels: Sequence[DrawnLabel], size: tuple[int, int]) -> None:
    height = max(LEAST_TEXT, round(max(size) * SHARE_OF_TEXT))
    pad = round(height * PADDING)
    texts = [shorten_label(label.text, choose_font(label.text, height), size[0] - 2 * pad) for label in labels]
    lengths = [choose_font(text, height).getlength(text) for text in texts]
    sizes = [(length + 2 * pad, height + 2 * pad) for length in lengths]
    for label, text, place in zip(labels, texts, place_labels([each.box for each in labels], sizes, size), strict=True):
        draw.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=label.colour)
        middle = (place[0] + pad, (place[1] + place[3]) / 2)
        draw.text(middle, text, fill=choose_ink(label.colour), font=choose_font(text, height), anchor="lm")


def shorten_label(text: str, font: Font, width: float) -> str:
    """As much of a long phrase as fits, and its probability, which is the last word."""
    name, _, probability = text.rpartition(" ")
    while name and font.getlength(f"{name} {probability}") > width:
        name = name.removesuffix(ELLIPSIS)[:-1].rstrip() + ELLIPSIS if len(name) > len(ELLIPSIS) + 1 else ""
    return f"{name} {probability}".strip()


def can_draw(text: str) -> bool:
    return has_letters(choose_font(text, LEAST_TEXT), text)


def choose_font(text: str, height: int) -> Font:
    """Pillow's own font, or for other letters the first one of the system that has them."""
    own = load_own_font(height)
    if has_letters(own, text):
        return own
    return next((font for font in load_fonts(height) if has_letters(font, text)), own)


@cache
def load_own_font(height: int) -> Font:
    return ImageFont.load_default(height)


@cache
def load_fonts(height: int) -> tuple[Font, ...]:
    """The fonts of FONTS that are installed."""
    fonts = []
    for name in FONTS:
        try:
            fonts.append(ImageFont.truetype(name, height))
        except OSError:
            continue
    return tuple(fonts)


def has_letters(font: Font, text: str) -> bool:
    missing = bytes(font.getmask(UNKNOWN))
    return all(letter.isspace() or bytes(font.getmask(letter)) != missing for letter in set(text))
