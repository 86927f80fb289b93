"""Another artist's hand: one drawing with other colours, outlines and proportions of its lines. All on SVG text.

Every choice comes from a generator, so a drawing and a seed give the same SVG.
"""

import colorsys
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

HEX = re.compile(r'(fill|stroke|stop-color)="#([0-9a-fA-F]{6}|[0-9a-fA-F]{3})"')
GRADIENT = re.compile(r'<(linearGradient|radialGradient)\b[^>]*\bid="([^"]+)".*?</\1>', re.S)
STOP = re.compile(r'stop-color="(#[0-9a-fA-F]{3,6})"')
SHAPE = re.compile(r"<(?:path|circle|ellipse|rect|polygon)\b[^>]*?/>")
PATH_DATA = re.compile(r' d="([^"]+)"')
COMMAND = re.compile(r"([a-df-zA-DF-Z])([^a-df-zA-DF-Z]*)")  # no command is an e, which may be in a number
NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")
ARC_FLAGS = (3, 4)  # places of an arc's seven arguments that are 0 or 1
ARC_ARGUMENTS = 7

INKED_SHARE = 0.75
INK_WIDTHS = (0.010, 0.045)  # of the drawing's side
DARK_INK_SHARE = 0.8  # of the outlines are nearly black, the others a dark colour
FLAT_SHARE = 0.7  # of the drawings lose their gradients
PALETTES = {"same": 0.35, "varied": 0.4, "grey": 0.07, "white": 0.18}  # shares of ways to treat colours
WHITE_SHARE = 0.5  # of the colours of a `white` palette become white
WOBBLE_SHARE = 0.5
WOBBLE = 0.018  # of the side: greatest deviation of a point
DROP_SHARE = 0.25  # of the drawings lose one shape
DROPPED_FROM = 5  # shapes: of fewer, each may be what the drawing shows


Rgb = tuple[float, float, float]
PaletteChange = Callable[[Rgb, float, random.Random], Rgb]


@dataclass(frozen=True, slots=True)
class Restyling:
    """A drawing's new body, and the style sheet that draws its outline (empty: none)."""

    body: str
    css: str


def restyle(body: str, side: float, colours_kept: bool, rng: random.Random) -> Restyling:
    """Return a variant of an SVG body whose longer side is `side` user units; `colours_kept`: with the same colours."""
    if rng.random() < FLAT_SHARE:
        body = flatten_gradients(body)
    palette = rng.choices(list(PALETTES), weights=list(PALETTES.values()))[0]
    if not colours_kept:
        body = recolour(body, PALETTE_CHANGES[palette], rng)
    if rng.random() < DROP_SHARE:
        body = drop_shape(body, rng)
    if rng.random() < WOBBLE_SHARE:
        body = wobble_paths(body, WOBBLE * side * rng.random(), rng)
    inked = palette == "white" or rng.random() < INKED_SHARE  # white on white is seen by its outline only
    return Restyling(body, draw_ink(side, rng) if inked else "")


def flatten_gradients(body: str) -> str:
    """Paint each gradient's area with the colour of its middle stop. A gradient without own stops stays."""
    for found in GRADIENT.finditer(body):
        if stops := STOP.findall(found[0]):
            body = body.replace(f'"url(#{found[2]})"', f'"{stops[len(stops) // 2]}"')
    return body


def recolour(body: str, change: PaletteChange, rng: random.Random) -> str:
    """Map each colour of the drawing to another, the same one wherever it is."""
    turn = rng.gauss(0, 0.03)  # of the colour circle, the whole drawing
    colours = dict.fromkeys(found[2] for found in HEX.finditer(body))
    mapped = {colour: change(parse_colour(colour), turn, rng) for colour in colours}
    return HEX.sub(lambda found: f'{found[1]}="{format_colour(mapped[found[2]])}"', body)


def keep_colour(rgb: Rgb, turn: float, rng: random.Random) -> Rgb:
    return rgb


def vary_colour(rgb: Rgb, turn: float, rng: random.Random) -> Rgb:
    hue, saturation, value = colorsys.rgb_to_hsv(*rgb)
    return colorsys.hsv_to_rgb(
        (hue + turn + rng.gauss(0, 0.025)) % 1,
        min(1.0, saturation * rng.uniform(0.4, 1.6)),
        min(1.0, value * rng.uniform(0.65, 1.25)),
    )


def grey_colour(rgb: Rgb, turn: float, rng: random.Random) -> Rgb:
    luma = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]  # ITU-R BT.601
    return luma, luma, luma


def whiten_colour(rgb: Rgb, turn: float, rng: random.Random) -> Rgb:
    return (1.0, 1.0, 1.0) if rng.random() < WHITE_SHARE else rgb


PALETTE_CHANGES: dict[str, PaletteChange] = {
    "same": keep_colour,
    "varied": vary_colour,
    "grey": grey_colour,
    "white": whiten_colour,
}


def parse_colour(digits: str) -> Rgb:
    """Return red, green and blue in 0..1 from `f80` or `ff8800`."""
    pairs = [digit * 2 for digit in digits] if len(digits) == 3 else [digits[place : place + 2] for place in (0, 2, 4)]
    red, green, blue = (int(pair, 16) / 255 for pair in pairs)
    return red, green, blue


def format_colour(rgb: Rgb) -> str:
    return "#" + "".join(f"{round(255 * value):02x}" for value in rgb)


def drop_shape(body: str, rng: random.Random) -> str:
    shapes = list(SHAPE.finditer(body))
    if len(shapes) < DROPPED_FROM:
        return body
    gone = rng.choice(shapes)
    return body[: gone.start()] + body[gone.end() :]


def wobble_paths(body: str, reach: float, rng: random.Random) -> str:
    """Move the points of all paths, each by up to `reach` user units: a hand that is less exact."""
    return PATH_DATA.sub(lambda found: f' d="{wobble_path(found[1], reach, rng)}"', body)


def wobble_path(data: str, reach: float, rng: random.Random) -> str:
    return "".join(command + wobble_arguments(command, rest, reach, rng) for command, rest in COMMAND.findall(data))


def wobble_arguments(command: str, text: str, reach: float, rng: random.Random) -> str:
    if command.lower() == "a":
        return wobble_arcs(text, reach, rng)
    # an offset from the last point moves every point after it: less, so that the drawing stays together
    share = 0.3 if command.islower() and command != "m" else 1.0
    values = (float(number) for number in NUMBER.findall(text))
    return " ".join(f"{value + share * rng.uniform(-reach, reach):.3f}" for value in values)


def wobble_arcs(text: str, reach: float, rng: random.Random) -> str:
    """Move the end points of arcs. Flags are one digit each, often without a space after them: `a1 1 0 01.5.5`."""
    arguments: list[str] = []
    while text := text.lstrip(" ,\n"):
        place = len(arguments) % ARC_ARGUMENTS
        found = re.match(r"[01]", text) if place in ARC_FLAGS else NUMBER.match(text)
        if not found:
            break
        moved = 0.3 * rng.uniform(-reach, reach) if place > ARC_FLAGS[-1] else 0.0
        arguments.append(found[0] if place in ARC_FLAGS else f"{float(found[0]) + moved:.3f}")
        text = text[found.end() :]
    return " ".join(arguments)


def draw_ink(side: float, rng: random.Random) -> str:
    """Return a style sheet that outlines every shape."""
    width = side * rng.uniform(*INK_WIDTHS)
    dark = rng.random() < DARK_INK_SHARE
    colour = format_colour(colorsys.hsv_to_rgb(rng.random(), 0.2 if dark else 0.8, 0.1 if dark else 0.45))
    shapes = "path,circle,ellipse,rect,polygon"
    return f"{shapes}{{stroke:{colour};stroke-width:{width:.3f};stroke-linejoin:{rng.choice(('round', 'miter'))}}}"
