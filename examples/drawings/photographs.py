"""Pages with photographs: scenes made of noise and shading, and pictures of examples/images set in a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
from PIL import Image

from examples.drawings.documents import FONTS, fill_column
from examples.drawings.names import make_title
from examples.drawings.sheets import Rectangle, SheetPen

PICTURES = Path(__file__).parents[1] / "images"
LONG_SIDE = 480  # pixels of a made scene

Pixels = npt.NDArray[np.float32]


def draw_landscape(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Sky, ranges of hills that grow paler with distance, grain."""
    width, height = fit_pixels(area)
    numbers = np.random.default_rng(rng.randrange(2**32))
    y = np.linspace(1, 0, height, dtype=np.float32)[:, None, None]
    picture = make_colour(rng, 0.75) * (0.6 + 0.4 * y) + make_noise(numbers, width, height, 5)[..., None] * 0.1
    for number in range(rng.randint(3, 5)):
        ridge = 0.7 - 0.16 * number + 0.25 * (make_noise(numbers, width, 4, 4 + number)[:1] - 0.5)
        picture = np.where((y[..., 0] < ridge)[..., None], make_colour(rng, 0.6 - 0.12 * number), picture)
    put_scene(pen, area, picture + numbers.normal(0, 0.03, picture.shape).astype(np.float32))


def draw_spheres(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Shaded round objects on a table, out of the light of one lamp."""
    width, height = fit_pixels(area)
    numbers = np.random.default_rng(rng.randrange(2**32))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    picture = np.ones((height, width, 3), np.float32) * make_colour(rng, 0.5)
    picture *= (0.5 + 0.5 * make_noise(numbers, width, height, 6))[..., None]
    for _ in range(rng.randint(3, 8)):
        radius = rng.uniform(0.08, 0.22) * min(width, height)
        dx, dy = (x - rng.uniform(0, width)) / radius, (y - rng.uniform(0, height)) / radius
        inside = dx * dx + dy * dy < 1
        light = np.clip(-0.5 * dx - 0.6 * dy + 0.6 * np.sqrt(np.clip(1 - dx * dx - dy * dy, 0, 1)), 0.05, 1)
        picture = np.where(inside[..., None], light[..., None] * make_colour(rng, 0.9), picture)
    put_scene(pen, area, picture + numbers.normal(0, 0.02, picture.shape).astype(np.float32))


def draw_illustrated(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """A document with one or two pictures of examples/images among its text."""
    font, bold = rng.choice(FONTS)
    side = min(area.width, area.height * 0.55)
    x = area.x0 + (area.width - side) * rng.random()
    place = Rectangle(x, area.y1 - side, x + side, area.y1)
    image = Image.open(rng.choice(list_pictures())).convert("RGBA")
    ground = Image.new("RGBA", image.size, tuple(rng.randrange(150, 256) for _ in range(3)))
    numbers = np.random.default_rng(rng.randrange(2**32))
    photograph = np.asarray(Image.alpha_composite(ground, image).convert("RGB").resize((320, 320)), np.float32) / 255
    shade = 0.75 + 0.35 * make_noise(numbers, 320, 320, 4)[..., None]
    pen.picture(to_image(photograph * shade + numbers.normal(0, 0.02, photograph.shape).astype(np.float32)), place)
    pen.text((place.x0, place.y0 - 5), make_title(rng), 3.4, font)
    fill_column(pen, Rectangle(area.x0, area.y0, area.x1, place.y0 - 10), 4, font, bold, rng)


def draw_bricks(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """A wall of bricks, each of its own shade."""
    width, height = fit_pixels(area)
    numbers = np.random.default_rng(rng.randrange(2**32))
    tall, long = rng.randint(18, 30), rng.randint(44, 70)
    y, x = np.mgrid[0:height, 0:width]
    row = y // tall
    column = (x + row % 2 * (long // 2)) // long
    shades = numbers.uniform(0.55, 1.0, (row.max() + 1, column.max() + 1)).astype(np.float32)
    joint = (y % tall < 3) | ((x + row % 2 * (long // 2)) % long < 3)
    picture = np.where(joint[..., None], 0.75, shades[row, column][..., None] * make_colour(rng, 0.6))
    put_scene(pen, area, picture * (0.7 + 0.5 * make_noise(numbers, width, height, 4))[..., None])


@cache
def list_pictures() -> tuple[Path, ...]:
    return tuple(sorted(PICTURES.rglob("*.png")))


def fit_pixels(area: Rectangle) -> tuple[int, int]:
    """Width and height in pixels of a scene that fills the area."""
    scale = LONG_SIDE / max(area.width, area.height)
    return max(8, round(area.width * scale)), max(8, round(area.height * scale))


def make_noise(numbers: np.random.Generator, width: int, height: int, octaves: int) -> Pixels:
    """(height, width) in 0..1: value noise, each octave twice as fine and half as strong."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cells = 2 ** (octave + 1)
        coarse = Image.fromarray(numbers.random((cells + 1, cells + 1), np.float32))
        total += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 2**octave
    low, high = float(total.min()), float(total.max())
    return np.asarray((total - low) / max(high - low, 1e-6), np.float32)


def make_colour(rng: Random, lightness: float) -> Pixels:
    return np.array([lightness * rng.uniform(0.6, 1.1) for _ in range(3)], np.float32)


def put_scene(pen: SheetPen, area: Rectangle, picture: npt.NDArray[np.floating]) -> None:
    pen.picture(to_image(picture), area)


def to_image(picture: npt.NDArray[np.floating]) -> Image.Image:
    return Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))


PHOTOGRAPHS: Mapping[str, Callable[[SheetPen, Rectangle, Random], None]] = {
    "landscape": draw_landscape,
    "spheres": draw_spheres,
    "illustrated document": draw_illustrated,
}
PHOTOGRAPHS_APART: Mapping[str, Callable[[SheetPen, Rectangle, Random], None]] = {"bricks": draw_bricks}
