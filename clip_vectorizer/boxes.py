"""Boxes in a picture: x0, y0, x1, y1 as shares of its width and height, from the top left of the upright picture.

N, M boxes
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from clip_vectorizer.vectors import Box

BoxArray = npt.NDArray[np.float32]  # (N, 4)
ScoreArray = npt.NDArray[np.float32]
Indexes = npt.NDArray[np.int64]

WHOLE = (0.0, 0.0, 1.0, 1.0)
CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right")  # in the order of `corners`
# A title block is at most 180 mm wide and some 60 mm high (ISO 7200), in the corner of a sheet of 297 x 210 mm or more.
CORNER_WIDTH, CORNER_HEIGHT = 0.5, 0.35


def areas(boxes_n4: BoxArray) -> ScoreArray:
    """(N,): shares of the picture's area; 0 for a box whose sides are the wrong way round."""
    sides_n2 = np.clip(boxes_n4[:, 2:] - boxes_n4[:, :2], 0, None)
    return np.asarray(sides_n2[:, 0] * sides_n2[:, 1], dtype=np.float32)


def overlaps(first_n4: BoxArray, second_m4: BoxArray) -> ScoreArray:
    """(N, M): intersection over union, 0..1; 0 where both boxes have no area.

    >>> overlaps(np.array([[0, 0, 1, 1]], np.float32), np.array([[0, 0, 1, 0.5]], np.float32))
    array([[0.5]], dtype=float32)
    """
    left_top = np.maximum(first_n4[:, None, :2], second_m4[None, :, :2])
    right_bottom = np.minimum(first_n4[:, None, 2:], second_m4[None, :, 2:])
    common_nm = np.prod(np.clip(right_bottom - left_top, 0, None), axis=-1)
    union_nm = areas(first_n4)[:, None] + areas(second_m4)[None, :] - common_nm
    return np.asarray(common_nm / np.maximum(union_nm, np.finfo(np.float32).tiny), dtype=np.float32)


def suppress(boxes_n4: BoxArray, scores_n: ScoreArray, most: float, limit: int | None = None) -> Indexes:
    """The indexes that non-maximum suppression keeps, best score first; equal scores in the order given.

    A box goes where it overlaps a better one by more than `most`. The first `limit` that are kept are returned.
    """
    order = np.argsort(-scores_n, kind="stable")
    sorted_n4, alive_n = boxes_n4[order], np.ones(len(order), dtype=bool)
    kept: list[int] = []
    for number in range(len(order)):  # one product for each box that is kept, not one for each pair
        if len(kept) == limit:
            break
        if alive_n[number]:
            kept.append(number)
            alive_n &= overlaps(sorted_n4[number : number + 1], sorted_n4)[0] <= most
    return np.asarray(order[kept], dtype=np.int64)


def place(box: Iterable[float], width: int, height: int) -> Box:
    """A box of shares in the pixels of a picture: inside it, and at least one pixel wide and high.

    >>> place((0.25, 0.5, 0.75, 1.0), 640, 480), place((1.0, 0.0, 1.0, 0.0), 640, 480)
    ((160.0, 240.0, 480.0, 480.0), (639.0, 0.0, 640.0, 1.0))
    """
    left, top, right, bottom = (float(share) * side for share, side in zip(box, (width, height) * 2, strict=True))
    left, top = min(max(left, 0.0), width - 1.0), min(max(top, 0.0), height - 1.0)
    return left, top, min(max(right, left + 1), float(width)), min(max(bottom, top + 1), float(height))


def grid(columns: int, rows: int, overlap: float = 0.0) -> BoxArray:
    """(columns * rows, 4), row by row, evenly spaced; sides are longer by `overlap` than an exact tiling needs."""
    xs, ys = spans(columns, overlap), spans(rows, overlap)
    return np.array([(x0, y0, x1, y1) for y0, y1 in ys for x0, x1 in xs], dtype=np.float32)


def corners(width: float = CORNER_WIDTH, height: float = CORNER_HEIGHT) -> BoxArray:
    """(4, 4): the corners of a picture in the order of CORNERS; `width` and `height` are shares of its sides.

    >>> corners(0.5, 0.25)[3].tolist()
    [0.5, 0.75, 1.0, 1.0]
    """
    xs, ys = ((0, width), (1 - width, 1)), ((0, height), (1 - height, 1))
    return np.array([(x0, y0, x1, y1) for y0, y1 in ys for x0, x1 in xs], dtype=np.float32)


def spans(count: int, overlap: float) -> list[tuple[float, float]]:
    """`count` equal spans that cover 0..1, the first from 0, the last to 1.

    >>> spans(2, 0.5)
    [(0.0, 0.75), (0.25, 1.0)]
    """
    length = min(1.0, (1 + overlap) / count)
    step = (1 - length) / max(1, count - 1)
    return [(number * step, number * step + length) for number in range(count)]
