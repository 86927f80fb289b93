"""Where the rules of a title block are: a signature of a corner of a page, and how well two of them agree.

Rules are long straight lines along the sides of a page. The title blocks of one form have theirs at the same places,
whatever is written between them. Places are measured from the frame at the corner of the page, because a block is
equally far from it on sheets of every size. A scan may be turned by a little; that is measured on the rules and undone.

H, W pixels · P pixels of rules · B bins across rules · S strips along them · N grids
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from clip_vectorizer.images.runs import InkMask, find_runs
from clip_vectorizer.images.text_layout import (
    LAYOUT_BYTES,
    TextLayout,
    compare_text_layouts,
    measure_text_layout,
    pack_shares,
    unpack_shares,
)

LINE_GRID_VERSION = 1  # of the signature: another one makes every corner anew
BINS, STRIPS = 96, 8  # along the longer side of a corner: where a rule is to within 2 mm on A3, how long it is roughly
LEAST_RULES = 6.0  # strips full of rules, mean of both directions: 95 % of the corpus's title blocks have over 12
TEXT_SHARE = 0.5  # of the agreement of lines of text; at 1 pages of text displace forms with few rules
PIXELS = 640  # of the longer side, as it is measured
LEAST_RULE = 0.06  # length of a rule, as a share of the longer side; letters and arrows are shorter
LEAST_CONTRAST = 28  # grey levels from the paper; lines are a pixel wide, and pale then
DARK_PAPER = 128  # a blueprint's, below
MAX_SKEW, SKEW_STEP = 0.036, 0.003  # radians: two degrees, and what a step moves the end of a rule by: two pixels
MAX_POINTS = 8000  # of rules, by which the skew is measured
FRAME = (0.25, 0.2)  # least length of rules that may be the frame, horizontal and vertical, as a share of the side
FRAME_BINS = 2  # nearest to the corner, which have the frame: all drawings have one
SCALES = (1.0, 2**-0.5, 2**0.5, 0.5, 2.0)  # a block is equally large on A4, A3, A2: its share of a corner is not
FREE_SCALES = tuple(2 ** (step / 48) for step in range(-96, 25))  # of a block that was cut out by hand, in 1.5 %

Places = npt.NDArray[np.float32]  # (P,)
GridMaps = npt.NDArray[np.float32]  # (2, B, S): across horizontal rules and along them, then the same of vertical ones


@dataclass(frozen=True, slots=True, eq=False)
class LineGrid:
    """Square roots of shares, 0..1: how much of a strip has a rule in this bin. Both are counted from the corner."""

    maps: GridMaps
    text_layout: TextLayout | None = None  # None: measured before there was one

    def to_text(self) -> str:
        """Return it as base64, four bits a value."""
        layout = b"" if self.text_layout is None else pack_shares(self.text_layout)
        return base64.b64encode(pack_shares(self.maps) + layout).decode("ascii")

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Return what `to_text` wrote; None for anything else."""
        try:
            packed = base64.b64decode(text, validate=True)
        except ValueError:
            return None
        size = BINS * STRIPS
        if len(packed) not in (size, size + LAYOUT_BYTES):
            return None
        layout = unpack_shares(packed[size:]) if len(packed) > size else None
        return cls(unpack_shares(packed[:size]).reshape(2, BINS, STRIPS), layout)

    @property
    def has_rules(self) -> bool:
        """Whether there are as many as a form has, inside the frame."""
        lengths = np.square(self.maps[:, FRAME_BINS:]).sum(axis=(1, 2))
        return bool(np.sqrt(lengths.prod()) > LEAST_RULES)


def measure_line_grid(picture: Image.Image, corner: str = "bottom-right") -> LineGrid:
    """Return where the rules of this corner of an upright page are."""
    ink = find_ink(shrink(turn_corner(picture, corner)))
    length = round(LEAST_RULE * PIXELS)
    across, upright = find_runs(ink, length), find_runs(np.ascontiguousarray(ink.T), length)
    (ys, xs), (columns, rows) = list_pixels(across), list_pixels(upright)
    height, width = ink.shape
    skew = measure_skew(np.concatenate([ys, columns + 4 * PIXELS]), np.concatenate([xs, -rows]))
    heights = ys - skew * (xs - width)  # as if the page was turned about its lower right
    sides = columns + skew * (rows - height)
    bottom, right = find_frame(heights, height, FRAME[0]), find_frame(sides, width, FRAME[1])
    maps = count_rules(bottom - heights, right - xs), count_rules(right - sides, bottom - rows)
    return LineGrid(np.sqrt(np.stack(maps)), measure_text_layout(ink & ~across & ~upright.T, PIXELS))


def list_pixels(mask: InkMask) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """(P,), (P,): the rows and columns of a mask, as `np.nonzero` returns them in several times the time."""
    return np.divmod(np.flatnonzero(mask), mask.shape[1])


def turn_corner(picture: Image.Image, corner: str) -> Image.Image:
    """Return it mirrored so that the corner of the page is at the lower right."""
    if corner.endswith("left"):
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if corner.startswith("top") else picture


def shrink(picture: Image.Image) -> Image.Image:
    """Return it in grey with PIXELS on its longer side, however large it is: rules of a form become equally thick."""
    factor = PIXELS / max(picture.size)
    size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    return picture.convert("L").resize(size, Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR)


def find_ink(grey: Image.Image) -> InkMask:
    """Return what is darker than the paper, whose level is the median; on dark paper what is brighter."""
    counts = np.cumsum(grey.histogram())
    paper = int(np.searchsorted(counts, counts[-1] / 2))
    levels = np.asarray(grey)
    if paper < DARK_PAPER:
        return np.asarray(levels > min(254, paper + LEAST_CONTRAST), dtype=np.bool_)
    return np.asarray(levels < paper - LEAST_CONTRAST, dtype=np.bool_)


def measure_skew(ys: npt.NDArray[np.intp], xs: npt.NDArray[np.intp]) -> float:
    """Return the slope of rules: the one for which their profile is sharpest."""
    if not len(ys):
        return 0.0
    step = -(-len(ys) // MAX_POINTS)
    heights, lengths = ys[::step].astype(np.float32), xs[::step].astype(np.float32)
    slopes = np.arange(-round(MAX_SKEW / SKEW_STEP), round(MAX_SKEW / SKEW_STEP) + 1) * SKEW_STEP
    sharpness = [measure_sharpness(heights - np.float32(slope) * lengths) for slope in slopes]
    return float(slopes[int(np.argmax(sharpness))])


def measure_sharpness(heights: Places) -> float:
    counts = np.bincount((heights - heights.min()).astype(np.intp)).astype(np.float64)
    return float(counts @ counts)


def find_frame(places: npt.NDArray[np.floating], size: int, least: float) -> int:
    """Return the last row that has a long rule: the frame or the block's own edge; without one that of the picture."""
    counts = np.bincount(np.clip(places, 0, size - 1).astype(np.intp), minlength=size)
    long = np.flatnonzero(counts + np.roll(counts, 1) > least * PIXELS)
    return int(long[-1]) if len(long) else size - 1


def count_rules(across: npt.NDArray[np.floating], along: npt.NDArray[np.integer]) -> GridMaps:
    """(B, S): the share of each strip that has a rule in each bin; both are distances from the corner in pixels."""
    bins = np.rint(across * (BINS / PIXELS)).astype(np.intp)
    inside = (bins >= 0) & (bins < BINS) & (along >= 0) & (along < PIXELS)
    covered = np.zeros((BINS, PIXELS), dtype=np.bool_)
    covered[bins[inside], along[inside]] = True
    shares = covered.reshape(BINS, STRIPS, PIXELS // STRIPS).mean(axis=2, dtype=np.float32)
    return np.asarray(shares, dtype=np.float32)


def compare_line_grids(query: LineGrid, others: Sequence[LineGrid], free: bool = False) -> npt.NDArray[np.float32]:
    """(N,): how well the rules of each of the others agree with the query's, 0..1.

    The geometric mean of the correlations of horizontal and of vertical rules, for the size of the sheet where it is
    largest. `free`: the query was cut out by hand, so its share of a corner may be any. Where neither has as
    many rules as a form, their lines of text count if these agree better.
    """
    if not others:
        return np.zeros(0, dtype=np.float32)
    agreements_n = compare_rules(query, others, free)
    if query.text_layout is None or query.has_rules:
        return agreements_n
    places = [place for place, other in enumerate(others) if other.text_layout is not None and not other.has_rules]
    layouts = [layout for place in places if (layout := others[place].text_layout) is not None]
    agreements_n[places] = np.maximum(
        agreements_n[places], TEXT_SHARE * compare_text_layouts(query.text_layout, layouts)
    )
    return agreements_n


def compare_rules(query: LineGrid, others: Sequence[LineGrid], free: bool) -> npt.NDArray[np.float32]:
    """(N,): 0..1."""
    stored_n2d = normalise(np.stack([each.maps for each in others]))
    best_n = np.zeros(len(others), dtype=np.float32)
    for scale in FREE_SCALES if free else SCALES:
        query_2d = normalise(scale_maps(query.maps, scale)[None])[0]
        rows_n, columns_n = (np.clip(stored_n2d[:, axis] @ query_2d[axis], 0, 1) for axis in (0, 1))
        best_n = np.maximum(best_n, np.sqrt(rows_n * columns_n))
    return np.asarray(best_n, dtype=np.float32)


def normalise(maps: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(N, 2, B x S): each map without the frame and without its mean, of length 1; zeros stay zeros."""
    inner = maps.copy()
    inner[:, :, :FRAME_BINS] = 0
    flat = inner.reshape(len(maps), 2, -1)
    flat = flat - flat.mean(axis=2, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=2, keepdims=True), 1e-6), dtype=np.float32)


def scale_maps(maps: GridMaps, scale: float) -> GridMaps:
    """Return the maps of the same block on a sheet on which it takes `scale` times as much of a corner."""
    across = interpolate(maps, np.arange(BINS) / scale, axis=1)
    return interpolate(across, (np.arange(STRIPS) + 0.5) / scale - 0.5, axis=2)


def interpolate(maps: GridMaps, places: npt.NDArray[np.floating], axis: int) -> GridMaps:
    """Return the maps at these places along an axis; 0 beyond its end, and before its beginning as it begins."""
    size = maps.shape[axis]
    ended = np.concatenate([maps, np.zeros_like(maps)[:, : 1 if axis == 1 else None, : 1 if axis == 2 else None]], axis)
    low = np.clip(np.floor(places).astype(np.intp), 0, size)
    share = np.clip(places - low, 0, 1).astype(np.float32)
    share = share[:, None] if axis == 1 else share
    mixed = ended.take(low, axis) * (1 - share) + ended.take(np.minimum(low + 1, size), axis) * share
    return np.asarray(mixed, dtype=np.float32)
