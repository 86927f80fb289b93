"""What every format is compared on: a dozen texts and a dozen pictures."""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw

TEXTS = [
    "a",
    "a photo of a cat",
    "A PHOTO OF A CAT",
    "two dogs, one of them asleep on a red sofa",
    "",
    "...!?",
    "don't they're 42nd & 3.14% #tag @you",
    "猫和狗",
    "一只红色的苹果放在桌子上，旁边有两只猫。",  # noqa: RUF001 (Chinese punctuation)
    "naïve café, schöne Grüße, русский текст",
    "😀 ok",
    "a long story about a cat and a dog " * 30,  # past every context
]
# The crops of some are half a pixel beside the middle, where rounding differs.
SIZES = [(224, 224), (640, 480), (480, 640), (1000, 125), (61, 90), (333, 251), (201, 135), (16, 12), (1, 1)]


@cache
def draw_pictures() -> tuple[Image.Image, ...]:
    """Upright RGB pictures: sizes, aspect ratios, tiny, a grey gradient, flat, noise."""
    grey = Image.linear_gradient("L").resize((300, 200)).convert("RGB")
    noise = Image.fromarray(np.random.default_rng(5).integers(0, 256, (150, 170, 3), np.uint8))
    flat = Image.new("RGB", (300, 300), (200, 30, 90))
    return (*(draw_scene(size) for size in SIZES), grey, noise, flat)


def draw_scene(size: tuple[int, int]) -> Image.Image:
    """Shades, noise and hard edges, without symmetry."""
    wide, high = size
    across, down = np.meshgrid(np.linspace(0, 1, wide), np.linspace(0, 1, high))
    noise = np.random.default_rng(wide + high).normal(0, 15, (high, wide))
    planes = [220 * across + noise, 180 * down + noise, 120 + 100 * (across * down > 0.3)]
    scene = Image.fromarray(np.stack(planes, axis=2).clip(0, 255).astype(np.uint8))
    ImageDraw.Draw(scene).ellipse((wide // 5, high // 6, wide // 2, high // 2), "orange", "black")
    return scene
