"""Where the rules of a title block are: a signature of a corner of a page, and how well two of them agree.

Rules are long straight lines along the sides of a page. The blocks of one form have theirs at the same places, whatever
is written between them, so their profiles agree: how much rule there is at each height, and at each distance from the
left. A scan may be turned by a little; that is measured on the rules themselves and undone.

H, W pixels · B bins of a profile
"""

import base64
import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

LINE_GRID_VERSION = 1  # of the signature: another one makes every corner anew
BINS = 96  # along the longer side of a corner
PIXELS = 768  # of the longer side, as it is measured: a rule of .35 mm on A3 is 1.3 pixels wide
LEAST_RULE = 0.07  # length of a rule, as a share of the longer side; letters and arrows are shorter
LEAST_CONTRAST = 40  # grey levels below the paper
MAX_SKEW, SKEW_STEP = 0.035, 0.0025  # radians: two degrees
SCALES = (1.0, 2**-0.5, 2**0.5, 0.5, 2.0)  # a block is equally large on A4, A3, A2: its share of a corner is not
FREE_SCALES = tuple(2 ** (step / 8) for step in range(-20, 5))  # of a block that was cut out by hand
MAX_SHIFT = 3  # bins by which two corners may be apart

Mask = npt.NDArray[np.bool_]  # (H, W)
Profile = npt.NDArray[np.float32]  # (B,)


@dataclass(frozen=True, slots=True, eq=False)
class LineGrid:
    """The profiles of a picture: length of rules in each bin, 0..1. Bins begin at the top and at the left."""

    rows_b: Profile  # of horizontal rules
    columns_b: Profile  # of vertical rules

    def to_text(self) -> str:
        """Return it as base64 of a byte a bin."""
        levels = np.rint(255 * np.concatenate([self.rows_b, self.columns_b])).astype(np.uint8)
        return base64.b64encode(levels.tobytes()).decode("ascii")

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Return what `to_text` wrote; None for anything else."""
        try:
            levels = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
        except ValueError:
            return None
        if len(levels) != 2 * BINS:
            return None
        rows_b, columns_b = (levels.astype(np.float32) / np.float32(255)).reshape(2, BINS)
        return cls(rows_b, columns_b)


def measure_line_grid(picture: Image.Image) -> LineGrid:
    """Return the profiles of an upright picture."""
    ink = find_ink(shrink(picture))
    length = max(3, round(LEAST_RULE * max(ink.shape)))
    horizontal, vertical = open_along_rows(ink, length), open_along_rows(ink.T, length)
    skew = measure_skew(horizontal)
    side = max(ink.shape)
    return LineGrid(project(horizontal, skew, side), project(vertical, -skew, side))


def shrink(picture: Image.Image) -> Image.Image:
    """Return it in grey with PIXELS on its longer side, however large it is: rules of a form become equally thick."""
    grey = picture.convert("L")
    factor = PIXELS / max(grey.size)
    size = max(1, round(grey.width * factor)), max(1, round(grey.height * factor))
    return grey.resize(size, Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR, reducing_gap=None)


def find_ink(grey: Image.Image) -> Mask:
    """Return what is darker than the paper, which is the median."""
    levels = np.asarray(grey, dtype=np.int16)
    return np.asarray(levels < np.median(levels) - LEAST_CONTRAST, dtype=np.bool_)


def open_along_rows(ink: Mask, length: int) -> Mask:
    """Return the pixels of ink that are part of a run of `length` along their row; runs may climb by a pixel or two."""
    thick = ink.copy()
    thick[1:] |= ink[:-1]
    thick[:-1] |= ink[1:]
    if thick.shape[1] < length:
        return np.zeros_like(ink)
    sums = np.cumsum(np.pad(thick, ((0, 0), (1, 0))), axis=1, dtype=np.int32)
    starts = sums[:, length:] - sums[:, :-length] == length  # (H, W - length + 1): a run begins here
    marks = np.cumsum(np.pad(starts, ((0, 0), (length, length - 1))), axis=1, dtype=np.int32)
    return np.asarray(ink & (marks[:, length:] - marks[:, :-length] > 0), dtype=np.bool_)


def measure_skew(horizontal: Mask) -> float:
    """Return the slope of the rules: the one for which their profile is sharpest."""
    slopes = np.arange(-MAX_SKEW, MAX_SKEW + SKEW_STEP / 2, SKEW_STEP)
    ys, xs = np.nonzero(horizontal)
    if not len(ys):
        return 0.0
    sharpness = [float(np.square(count_rows(ys - slope * xs).astype(np.float64)).sum()) for slope in slopes]
    best = int(np.argmax(np.asarray(sharpness) - 1e-9 * np.abs(slopes)))
    return float(slopes[best])


def count_rows(ys: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    return np.bincount(np.rint(ys - ys.min()).astype(np.intp))


def project(rules: Mask, slope: float, side: int) -> Profile:
    """Return (B,): the length of rules at each height, as a share of `side`, straightened by `slope` about the middle.

    A rule that is thick counts once.
    """
    ys, xs = np.nonzero(rules)
    heights = ys - slope * (xs - rules.shape[1] / 2)
    bins = np.clip((heights * BINS / side).astype(np.intp), 0, BINS - 1)
    covered = np.zeros((BINS, rules.shape[1]), dtype=np.bool_)
    covered[bins, xs] = True
    return np.asarray(covered.sum(axis=1) / side, dtype=np.float32)


def compare_line_grids(one: LineGrid, other: LineGrid, corner: str = "") -> float:
    """Return how well the rules of two corners agree, 0..1.

    `corner`: which one both are cut from, such as bottom-right, so that what is in the corner lies at the same place;
    "": one of them was cut out in another way, and may lie anywhere.
    """
    scales, shift = (SCALES, MAX_SHIFT) if corner else (FREE_SCALES, BINS)
    ends = (corner.startswith("bottom"), corner.endswith("right"))
    axes = ((one.rows_b, other.rows_b, ends[0]), (one.columns_b, other.columns_b, ends[1]))
    found: list[float] = []
    for scale in scales:
        rows, columns = (correlate(first, stretch(second, scale, end), shift) for first, second, end in axes)
        found.append(math.sqrt(max(0.0, rows) * max(0.0, columns)))
    return max(found)


def stretch(profile_b: Profile, scale: float, from_end: bool) -> Profile:
    """Return it larger by `scale`; its end stays where it is with `from_end`, else its beginning."""
    places = (np.arange(BINS) + 0.5) / scale - 0.5
    values = profile_b[::-1] if from_end else profile_b
    stretched = np.interp(places, np.arange(BINS), values, left=0.0, right=0.0).astype(np.float32)
    return np.asarray(stretched[::-1] if from_end else stretched, dtype=np.float32)


def correlate(one_b: Profile, other_b: Profile, shift: int) -> float:
    """Return the largest normalised correlation of two profiles, moved by up to `shift` bins against each other."""
    first, second = normalise(one_b), normalise(other_b)
    products = np.correlate(first, second, "full")
    middle = BINS - 1
    return float(products[max(0, middle - shift) : middle + shift + 1].max())


def normalise(profile_b: Profile) -> Profile:
    """Return it blurred over three bins, without its mean, of length 1; zeros stay zeros."""
    blurred = np.convolve(np.sqrt(profile_b), (0.25, 0.5, 0.25), "same")
    centred = blurred - blurred.mean()
    length = float(np.linalg.norm(centred))
    return np.asarray(centred / length if length > 1e-6 else np.zeros(BINS), dtype=np.float32)
