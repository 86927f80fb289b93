"""What can be decoded of a file that is cut off or broken, and where the rest of the picture is missing.

A pixel counts as decoded if it depends on nothing but the file: the file is decoded twice, over two grounds or with two
continuations, and what differs was not in it. So no decoder has to report how far it came.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import GifImagePlugin, Image, ImageFile

from clip_vectorizer.images.jpeg import JpegStructure

PixelBox = tuple[int, int, int, int]  # left, top, right, bottom
RowMask = npt.NDArray[np.bool_]
COMPARED_PIXELS = 4_000_000  # rows are compared in bands of so many
CONTINUATION_BYTES = 4096
GROUNDS = (0, 255)
LONGEST_WEBP = 16  # times the bytes that are there: of less, next to nothing of the picture is decoded
BLOCK = 8  # pixels, the side of a JPEG's block
CHECK_SCALE = 8  # a JPEG is decoded so many times smaller to see how far its data go


@dataclass(frozen=True, slots=True)
class PartialImage:
    """A loaded image of which some parts may be missing."""

    image: Image.Image
    gaps: Sequence[PixelBox]  # they do not overlap

    @property
    def decoded(self) -> float:
        """The share of the pixels that are there, 0 to 1."""
        missing = sum((right - left) * (bottom - top) for left, top, right, bottom in self.gaps)
        return 1.0 - missing / (self.image.width * self.image.height)


def decode_rows(open_again: Callable[[], ImageFile.ImageFile]) -> PartialImage:
    """Decode as many rows as possible. Raises what Pillow raises for a file without a readable header."""
    first, second = (load_over(open_again(), ground) for ground in GROUNDS)
    return PartialImage(first, list_row_gaps(find_different_rows(first, second), first.width))


def list_row_gaps(missing: RowMask, width: int) -> list[PixelBox]:
    """A box over the whole width for each run of missing rows.

    >>> list_row_gaps(np.array([False, True, True, False]), 9)
    [(0, 1, 9, 3)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missing, [False])).astype(np.int8)))
    return [(0, int(top), width, int(bottom)) for top, bottom in edges.reshape(-1, 2)]


def load_over(image: ImageFile.ImageFile, ground: int) -> Image.Image:
    """Load on top of a ground, and keep what was decoded before an error."""
    if isinstance(image, GifImagePlugin.GifImageFile):
        image._frame_transparency = None  # Pillow would put a ground of its own under a transparent picture
    bands = len(image.getbands())
    image.im = Image.new(image.mode, image.size, ground if bands == 1 else (ground,) * bands).im
    with suppress(Exception):  # OSError, SyntaxError, zlib.error, ...: the rows before it are there
        image.load()
    image.tile = []
    return image


def find_different_rows(first: Image.Image, second: Image.Image) -> RowMask:
    """Whether each row differs: (H,) bool."""
    step = max(1, COMPARED_PIXELS // first.width)
    bands = ((0, top, first.width, min(top + step, first.height)) for top in range(0, first.height, step))
    return np.concatenate([compare_rows(np.asarray(first.crop(box)), np.asarray(second.crop(box))) for box in bands])


def compare_rows(first: npt.NDArray[np.generic], second: npt.NDArray[np.generic]) -> RowMask:
    different: RowMask = (first != second).reshape(len(first), -1).any(axis=1)
    return different


def has_flat_corner(image: Image.Image) -> bool:
    """Whether the last 8 x 8 pixels have one colour: so ends a picture whose data end early, and many a whole one."""
    wide, high = image.size
    extrema = image.crop((max(0, wide - 8), max(0, high - 8), wide, high)).getextrema()
    pairs = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(low == high for low, high in pairs)


def find_jpeg_gaps(
    data: bytes, structure: JpegStructure, open_file: Callable[[bytes], ImageFile.ImageFile]
) -> list[PixelBox]:
    """The parts of the picture that a sequential JPEG's coded data do not reach: none, or all from some block on.

    After the end of the data a decoder goes on with flat blocks, without an error. Where other data follow, blocks that
    were there stay as they are.
    """
    coded = data[: structure.scan_ends[-1]] if structure.scan_ends else data
    first, second = (load_reduced(open_file(continue_data(coded, seed))) for seed in (1, 2))
    scale = max(1, round(structure.width / first.width))  # a small picture is not reduced as far
    different = np.asarray(first) != np.asarray(second)
    rows, columns = different.reshape(first.height, first.width, -1).any(axis=2).nonzero()
    if not len(rows):
        return []
    band = structure.block_rows * BLOCK // scale  # all blocks of a band of rows come before the next band's
    top = int(rows[0]) // band * band
    left = int(columns[rows < top + band].min())
    bottom = min((top + band) * scale, structure.height)
    gaps = [
        (left * scale, top * scale, structure.width, bottom),
        (0, bottom, structure.width, structure.height),
    ]
    return [box for box in gaps if box[0] < box[2] and box[1] < box[3]]


def decode_webp_start(data: bytes, open_file: Callable[[bytes], ImageFile.ImageFile]) -> PartialImage:
    """Decode a WebP file that is cut off, with zero bytes after it.

    Most other continuations are an error to the decoder, so the second one is that of a file some bytes shorter: what
    it changes is the end of what was there. Raises what Pillow raises, and OSError for a length that is no file's.
    """
    size = 8 + int.from_bytes(data[4:8], "little")
    if size > LONGEST_WEBP * len(data):  # 32 broken bits may claim 4 GB, which would be allocated twice
        raise OSError(f"a WebP file of {len(data)} bytes claims {size}")
    first, second = (open_file(part + bytes(size - len(part))) for part in (data, data[: -max(16, len(data) // 200)]))
    for image in (first, second):
        image.load()
    missing = np.logical_or.accumulate(find_different_rows(first, second))
    return PartialImage(first, list_row_gaps(missing, first.width))


def load_reduced(image: ImageFile.ImageFile) -> Image.Image:
    image.draft(image.mode, (max(1, image.width // CHECK_SCALE), max(1, image.height // CHECK_SCALE)))
    with suppress(Exception):
        image.load()
    image.tile = []
    return image


def continue_data(coded: bytes, seed: int) -> bytes:
    """Coded data with other data after them, and an end marker."""
    filler = random.Random(seed).randbytes(CONTINUATION_BYTES).replace(b"\xff", b"\x7f")
    return coded + filler + b"\xff\xd9"
