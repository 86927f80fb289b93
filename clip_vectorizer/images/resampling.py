"""Antialiased shrinking without torch, to the same bytes as torch's: what a sidecar makes of a picture, made elsewhere.

torch shrinks bytes as Pillow-SIMD does: rows first, then columns, rounded in between, with weights as 16-bit integers
(ATen: UpSampleKernelAVXAntialias.h). Sums of such products are whole numbers that a float32 holds exactly, so a matrix
product of numpy gives the same bytes in any order of additions.

H, W height and width · N outputs · K inputs an output is made of
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from clip_vectorizer.vectors import Pixels

Interpolation = Literal["bicubic", "bilinear"]
SUPPORT = {"bicubic": 2.0, "bilinear": 1.0}  # half of the inputs that an output depends on, at scale 1
CUBIC = -0.5  # Keys' parameter, as in Pillow
WEIGHT_BITS = 15
MAX_PRECISION = 22
EXACT_PRECISION = 16  # 128 levels * 2^16 * 1.25 (the weights' absolute sum) < 2^24: exact in float32
MIDDLE = 128  # levels are centred for that
BLOCK = 16  # outputs in one product
# OpenBLAS computes products of up to 2^18 multiplications on the calling thread. More threads would wait for each
# other, since every worker of an ingest resizes.
BLOCK_PRODUCTS = 1 << 18

Planes = npt.NDArray[np.floating]
ShrinkRange = tuple[int, int]  # of the outputs that are needed: first, after the last


@dataclass(frozen=True, slots=True)
class WeightBlock:
    """Weights (K, BLOCK) of consecutive outputs, from the input `first` on."""

    first: int
    weights_kn: Planes


@dataclass(frozen=True, slots=True)
class AxisWeights:
    blocks: tuple[WeightBlock, ...]
    offsets_n: Planes  # to be added to the sums: half for rounding, and the middle level times what weights sum up to
    precision: int  # weights are multiples of 2^-precision


def shrink_picture(
    picture: Pixels,
    size: tuple[int, int],
    scale: tuple[float, float],
    interpolation: Interpolation,
    columns: ShrinkRange | None = None,
    rows: ShrinkRange | None = None,
) -> Pixels:
    """Return the (H, W, 3) uint8 picture at `size` (width, height), or the `columns` and `rows` of it.

    `scale`: inputs an output, across and down; the picture may be a little larger than size * scale.
    """
    across = build_weights(picture.shape[1], size[0], scale[0], interpolation, columns or (0, size[0]))
    down = build_weights(picture.shape[0], size[1], scale[1], interpolation, rows or (0, size[1]))
    top, bottom = down.blocks[0].first, max(block.first + len(block.weights_kn) for block in down.blocks)
    planes = np.subtract(picture[top:bottom].transpose(2, 0, 1), MIDDLE, dtype=across.offsets_n.dtype, order="C")
    small = round_levels(multiply_columns(planes, across), across)
    small = small.astype(down.offsets_n.dtype, copy=False)
    small = round_levels(multiply_rows(small, down, top), down, axis_number=1)
    small += MIDDLE
    return np.ascontiguousarray(small.transpose(1, 2, 0), dtype=np.uint8)


def multiply_columns(planes: Planes, axis: AxisWeights) -> Planes:
    """(3, H, W) to (3, H, N)."""
    _, high, _ = planes.shape
    sums = np.empty((3, high, len(axis.offsets_n)), planes.dtype)
    for number, block in enumerate(axis.blocks):
        inputs, outputs = block.weights_kn.shape
        step = max(1, BLOCK_PRODUCTS // (inputs * outputs))
        across, place = slice(block.first, block.first + inputs), slice(number * BLOCK, number * BLOCK + outputs)
        for row in range(0, high, step):
            sums[:, row : row + step, place] = planes[:, row : row + step, across] @ block.weights_kn
    return sums


def multiply_rows(planes: Planes, axis: AxisWeights, top: int) -> Planes:
    """(3, H, W), whose first row is input `top`, to (3, N, W)."""
    wide = planes.shape[2]
    sums = np.empty((3, len(axis.offsets_n), wide), planes.dtype)
    for number, block in enumerate(axis.blocks):
        inputs, outputs = block.weights_kn.shape
        step = max(1, BLOCK_PRODUCTS // (inputs * outputs))
        down = slice(block.first - top, block.first - top + inputs)
        place = slice(number * BLOCK, number * BLOCK + outputs)
        for column in range(0, wide, step):
            part = slice(column, column + step)
            sums[:, place, part] = block.weights_kn.T @ planes[:, down, part]
    return sums


def round_levels(sums: Planes, axis: AxisWeights, axis_number: int = 2) -> Planes:
    """Round centred sums to whole levels, in place."""
    offsets = axis.offsets_n if axis_number == 2 else axis.offsets_n[:, None]
    sums += offsets
    sums *= 2.0**-axis.precision
    np.floor(sums, out=sums)
    return np.clip(sums, -MIDDLE, 255 - MIDDLE, out=sums)


@lru_cache(maxsize=64)
def build_weights(
    inputs: int, outputs: int, scale: float, interpolation: Interpolation, needed: ShrinkRange
) -> AxisWeights:
    """The weights of the `needed` ones of `outputs` outputs, as torch rounds them to integers."""
    starts, rows = list_weights(inputs, outputs, scale, interpolation)
    largest = max(max(row) for row in rows)
    precision = next(
        (bits for bits in range(MAX_PRECISION) if int(0.5 + largest * (1 << (bits + 1))) >= 1 << WEIGHT_BITS),
        MAX_PRECISION,
    )
    kind: type[np.float32 | np.float64] = np.float32 if precision <= EXACT_PRECISION else np.float64
    whole = [[round_away(weight * (1 << precision)) for weight in row] for row in rows]
    blocks = []
    for start in range(needed[0], needed[1], BLOCK):
        chosen = range(start, min(start + BLOCK, needed[1]))
        first, after = starts[chosen[0]], max(starts[each] + len(whole[each]) for each in chosen)
        weights_kn = np.zeros((after - first, len(chosen)), kind)
        for column, each in enumerate(chosen):
            place = starts[each] - first
            weights_kn[place : place + len(whole[each]), column] = whole[each]
        blocks.append(WeightBlock(first, weights_kn))
    half, one = 1 << (precision - 1), 1 << precision
    offsets_n: Planes = np.array([half + MIDDLE * (sum(whole[each]) - one) for each in range(*needed)], kind)
    return AxisWeights(tuple(blocks), offsets_n, precision)


def list_weights(
    inputs: int, outputs: int, scale: float, interpolation: Interpolation
) -> tuple[list[int], list[list[float]]]:
    """For each output the first input that it is made of, and the weights from there on."""
    support, weigh = SUPPORT[interpolation] * scale, WEIGH[interpolation]
    starts, rows = [], []
    for output in range(outputs):
        centre = scale * (output + 0.5)
        first = max(int(centre - support + 0.5), 0)
        count = min(int(centre + support + 0.5), inputs) - first
        row = [weigh((each + first - centre + 0.5) / scale) for each in range(count)]
        total = sum(row)
        starts.append(first)
        rows.append([weight / total for weight in row])
    return starts, rows


def weigh_cubic(distance: float) -> float:
    """Keys 1981."""
    x = abs(distance)
    if x < 1:
        return ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * CUBIC if x < 2 else 0.0


def weigh_linear(distance: float) -> float:
    return max(0.0, 1 - abs(distance))


WEIGH = {"bicubic": weigh_cubic, "bilinear": weigh_linear}


def round_away(value: float) -> int:
    """To the nearest whole number, halves away from zero."""
    return math.trunc(value + (0.5 if value >= 0 else -0.5))
