"""Grounds of scenes: white, a gradient with noise, or blurred drawings.

h, w height and width
"""

import random

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from clip_vectorizer.training.grounding.plan import GRADIENT, WHITE
from clip_vectorizer.training.grounding.scene_art import SceneArt, resize_drawing

LEAST_LIGHT = 90  # of a gradient's colours: darker ones hide dark outlines
MOST_NOISE = 18.0  # standard deviation in grey levels
PIECES = (2, 5)  # blurred drawings
PIECE_SIZES = (0.4, 0.9)  # of the shorter side
BLURS = (4.0, 9.0)  # pixels
PALE_SHARES = (0.3, 0.7)  # of white over blurred drawings


def draw_ground(kind: str, size: tuple[int, int], art: SceneArt, rng: random.Random) -> Image.Image:
    """Return an RGB picture of `size`, width and height."""
    if kind == WHITE:
        return Image.new("RGB", size, "white")
    if kind == GRADIENT:
        return draw_gradient(size, np.random.default_rng(rng.getrandbits(32)))
    return draw_pieces(size, art, rng)


def draw_gradient(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Return a bilinear gradient between four colours, with noise."""
    corners = Image.fromarray(rng.integers(LEAST_LIGHT, 256, (2, 2, 3), dtype=np.uint8))
    smooth_hw3 = np.asarray(corners.resize(size, Image.Resampling.BILINEAR), dtype=np.float32)
    noise_hw1 = rng.standard_normal((size[1], size[0], 1), dtype=np.float32) * rng.uniform(0, MOST_NOISE)
    noisy: npt.NDArray[np.uint8] = np.clip(smooth_hw3 + noise_hw1, 0, 255).astype(np.uint8)
    return Image.fromarray(noisy)


def draw_pieces(size: tuple[int, int], art: SceneArt, rng: random.Random) -> Image.Image:
    """Return pale, blurred drawings on white: things in the picture that no phrase is about."""
    ground, shorter = Image.new("RGB", size, "white"), min(size)
    for _ in range(rng.randint(*PIECES)):
        piece = resize_drawing(art.draw(rng.randrange(art.concepts), rng), round(shorter * rng.uniform(*PIECE_SIZES)))
        ground.paste(
            piece, (rng.randrange(size[0]) - piece.width // 2, rng.randrange(size[1]) - piece.height // 2), piece
        )
    blurred = ground.filter(ImageFilter.GaussianBlur(rng.uniform(*BLURS)))
    return Image.blend(blurred, Image.new("RGB", size, "white"), rng.uniform(*PALE_SHARES))
