"""Pictures made by code for `clip-eval limits`: copies of one drawing, and two drawings side by side.

Drawings come from a folder of captioned images. All randomness is from a seed, so the same folder gives the same
pictures, byte by byte.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from clip_vectorizer.errors import ImageRefused, InputError
from clip_vectorizer.images.opener import decode_image
from clip_vectorizer.query.evaluation.dataset import (
    LabelledImage,
    Progress,
    list_folder_images,
    read_image_file,
    split_languages,
)
from clip_vectorizer.query.evaluation.limits_phrases import LEFT_RIGHT
from clip_vectorizer.query.evaluation.statistics import SEED

CANVAS = 288  # pixels of a side: square, so that no model crops anything
GRID = 3  # cells of a side for copies: all copies have one size, whatever their number, so that size says nothing
MARGIN = 6  # pixels of white around each drawing
LONGEST_SIDE = 448  # of a drawing in memory: as large as the inputs of the largest models
LEAST_DRAWINGS = 10  # with fewer no interval says anything
DRAWINGS_PER_STEP = 100  # between two lines of progress
SceneRandom = np.random.Generator


@dataclass(frozen=True, slots=True)
class NamedDrawing:
    """An image of a folder with its name in one language."""

    path: str
    label: str  # its folder
    name: str
    picture: Image.Image  # upright, RGB, transparent parts white

    @property
    def png(self) -> bytes:
        return encode_scene(self.picture)


@dataclass(frozen=True, slots=True)
class DrawingFolder:
    """Drawings whose names differ, in an order that the seed decides; and the files that could not be used."""

    source: str  # as given by the user
    language: str  # of the names
    drawings: tuple[NamedDrawing, ...]
    left_out: tuple[tuple[str, str], ...]  # path and reason


def load_drawings(folder: Path, language: str, most: int, progress: Progress) -> DrawingFolder:
    """Read up to `most` captioned images, drawn at random. Raises InputError for fewer than LEAST_DRAWINGS."""
    drawings, left_out = [], []
    for item, name in choose_named(list_folder_images(folder), language, most):
        try:
            drawings.append(NamedDrawing(item.path, item.label, name, read_picture(folder / item.path)))
        except ImageRefused as error:
            left_out.append((item.path, str(error)))
        if len(drawings) % DRAWINGS_PER_STEP == 0:
            progress(f"{len(drawings)} images read")
    used = require_drawings(drawings, f"{folder}, language {language!r}")
    return DrawingFolder(str(folder), language, used, tuple(left_out))


def choose_named(items: Sequence[LabelledImage], language: str, most: int) -> list[tuple[LabelledImage, str]]:
    """Return images with their names, each name once, in an order that only the seed and the folder decide."""
    captions = [split_languages(item.caption).get(language, "") for item in items]
    order = np.random.default_rng(SEED).permutation(len(items))
    chosen: dict[str, LabelledImage] = {}
    for each in order:
        chosen.setdefault(captions[each], items[each])
    return [(item, name) for name, item in chosen.items() if name][:most]


def require_drawings(drawings: Sequence[NamedDrawing], what: str) -> tuple[NamedDrawing, ...]:
    """Raises InputError for too few."""
    if len(drawings) < LEAST_DRAWINGS:
        raise InputError(
            f"{what}: {len(drawings)} readable images have a caption of their own, at least {LEAST_DRAWINGS} are "
            "needed; a caption is a name such as `cat` in photo.txt next to photo.jpg"
        )
    return tuple(drawings)


def read_picture(file: Path) -> Image.Image:
    """Raises ImageRefused for what is no image."""
    content = read_image_file(file)
    if isinstance(content, str):
        raise ImageRefused(422, content)
    picture = decode_image(content, least_side=LONGEST_SIDE).pixels
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return picture


def compose_copies(picture: Image.Image, number: int, random: SceneRandom) -> Image.Image:
    """Return `number` equal copies in cells of a 3 x 3 grid that are drawn at random, each shifted a little."""
    side = CANVAS // GRID
    drawing = fit_square(picture, side - 2 * MARGIN)
    canvas = Image.new("RGB", (CANVAS, CANVAS), "white")
    for cell in random.choice(GRID * GRID, size=number, replace=False):
        row, column = divmod(int(cell), GRID)
        right, down = random.integers(MARGIN // 2, MARGIN * 3 // 2, size=2, endpoint=True)  # neighbours never touch
        canvas.paste(drawing, (column * side + int(right), row * side + int(down)))
    return canvas


def compose_pair(first: Image.Image, second: Image.Image, axis: str) -> Image.Image:
    """Return `first` to the left of `second`, or above it, both of one size."""
    half, canvas = CANVAS // 2, Image.new("RGB", (CANVAS, CANVAS), "white")
    across = half // 2 + MARGIN  # centres both on the other axis
    for number, picture in enumerate((first, second)):
        along = number * half + MARGIN
        place = (along, across) if axis == LEFT_RIGHT else (across, along)
        canvas.paste(fit_square(picture, half - 2 * MARGIN), place)
    return canvas


def fit_square(picture: Image.Image, side: int) -> Image.Image:
    """Return the whole picture in a white square of `side` pixels."""
    factor = side / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    square = Image.new("RGB", (side, side), "white")
    square.paste(picture.resize(size, Image.Resampling.LANCZOS), ((side - size[0]) // 2, (side - size[1]) // 2))
    return square


def encode_scene(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)  # for one request to a sidecar that is near
    return file.getvalue()
