"""A folder of one-colour squares, and encoders whose answers are known in advance: all-seeing, constant, random."""

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.query.evaluation.limits import LimitEncoder, LimitFindings, measure_limits
from clip_vectorizer.query.evaluation.limits_scenes import load_drawings
from clip_vectorizer.vectors import Vectors, unit
from tests.query.evaluation.folders import silent
from tests.query.fakes import INFO

CUBES = ("red", "green", "blue", "yellow", "magenta", "cyan")
BALLS = ("purple", "brown", "pink", "gray", "navy", "teal")
COLOURS = (*CUBES, *BALLS)
BYTES = np.array([65536, 256, 1])
NUMBERS = {name: int(ImageColor.getrgb(name)[:3] @ BYTES) for name in COLOURS}
WORDS = ("one", "two", "three", "four", "five")
PLACES = {  # a word, and what it says of the colour named first: its place on the axis x or y
    "to the left": (0, -1),
    "on the left": (0, -1),
    "to the right": (0, 1),
    "above": (1, -1),
    "at the top": (1, -1),
    "below": (1, 1),
}


def squares(root: Path) -> Path:
    """A folder of cubes and one of balls: a one-colour picture each, whose caption is its name."""
    for noun, colours in (("cube", CUBES), ("ball", BALLS)):
        for colour in colours:
            file = root / f"{noun}s" / f"{colour}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 20), colour).save(file)
            file.with_suffix(".txt").write_text(f"{colour} {noun}\n", encoding="utf-8")
    return root


def measure_folder(
    folder: Path | None, encoder: LimitEncoder, tasks: Sequence[str] = (), language: str = "en"
) -> LimitFindings:
    """What the tasks give on all images of a folder."""
    drawings = load_drawings(folder, language, 400, silent) if folder else None
    return measure_limits(drawings, encoder, silent, tasks, language)


def find_colours(image: bytes) -> dict[str, np.ndarray]:
    """Each colour of COLOURS in the picture with where it is: (H, W) booleans."""
    with Image.open(io.BytesIO(image)) as opened:
        pixels = np.asarray(opened.convert("RGB")).astype(np.int64) @ BYTES
    present = set(np.unique(pixels).tolist())
    return {name: pixels == number for name, number in NUMBERS.items() if number in present}


def count_squares(mask: np.ndarray) -> int:
    """The separate squares in the mask: their upper left corners."""
    padded = np.pad(mask, 1)
    corners = padded[1:-1, 1:-1] & ~padded[:-2, 1:-1] & ~padded[1:-1, :-2]
    return int(corners.sum())


@dataclass
class SquareReader:
    """Sees the colours of squares, how many there are and where, and understands captions of all that."""

    texts: list[str] = field(default_factory=list)  # all that were embedded
    pictures: list[bytes] = field(default_factory=list)

    def meta(self) -> ModelInfo:
        return INFO

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        return unit(np.stack([self._read_text(text) for text in texts]))

    def embed_images(self, images: Sequence[bytes]) -> Vectors:
        self.pictures += images
        return unit(np.stack([self._read_image(image) for image in images]))

    def _read_text(self, text: str) -> Vectors:
        numbers = [WORDS.index(word) + 1 for word in re.findall(r"\w+", text) if word in WORDS]
        named = [word for word in re.findall(r"\w+", text) if word in COLOURS]
        axis, place = next((found for words, found in PLACES.items() if words in text), (0, 0))
        where = {name: place if name == named[0] else -place for name in named}
        return vector_of(numbers[0] if numbers else 0, named, {axis: where})

    def _read_image(self, image: bytes) -> Vectors:
        masks = find_colours(image)
        number = sum(map(count_squares, masks.values()))
        where = {axis: {name: centre(mask, axis) for name, mask in masks.items()} for axis in (0, 1)}
        return vector_of(number, list(masks), where)


def centre(mask: np.ndarray, axis: int) -> float:
    """Which side of the middle it is on: -1, 0 or 1; axis 0 is from left to right."""
    places = np.nonzero(mask)[1 - axis]
    return float(np.sign(np.round(places.mean() - (mask.shape[1 - axis] - 1) / 2)))


def vector_of(number: int, named: Sequence[str], where: dict[int, dict[str, float]]) -> Vectors:
    """(1 + 5 + 3 C,): a constant, the number, which colours, and the place of each on two axes."""
    one_hot = [float(each == number) for each in range(1, 6)]
    presence = [float(name in named) for name in COLOURS]
    places = [where.get(axis, {}).get(name, 0.0) for axis in (0, 1) for name in COLOURS]
    return np.array([0.1, *one_hot, *presence, *places], dtype=np.float32)


@dataclass
class ConstantEncoder:
    """The same vector for everything."""

    def meta(self) -> ModelInfo:
        return INFO

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return np.tile(np.array([[1, 0]], dtype=np.float32), (len(texts), 1))

    def embed_images(self, images: Sequence[bytes]) -> Vectors:
        return self.embed_texts([""] * len(images))


@dataclass
class RandomEncoder:
    """A random vector for each text and each picture, always the same one."""

    def meta(self) -> ModelInfo:
        return INFO

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return self.embed_images([text.encode() for text in texts])

    def embed_images(self, images: Sequence[bytes]) -> Vectors:
        seeds = [int.from_bytes(hashlib.blake2b(image, digest_size=8).digest()) for image in images]
        drawn = [np.random.default_rng(seed).standard_normal(32) for seed in seeds]
        return unit(np.stack(drawn).astype(np.float32))
