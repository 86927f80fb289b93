"""Products of 8-bit integers, in a CPU's integer units: VNNI, AMX, or AVX2 through oneDNN.

A weight has one scale an output channel, fixed when it is loaded. An activation has one scale a row, taken from that
row alone when it comes by: nothing is calibrated on pictures that may be unlike the user's, nothing can be clipped, and
a row's result does not depend on the rows beside it.

M rows · K inputs · N outputs
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from clip_vectorizer.errors import SettingsError
from clip_vectorizer.models.products import Activation, activated

TOP = 127  # symmetric: -128 is not used
# AVX2 without VNNI adds two products of an unsigned and a signed byte in 16 bits: 2 * 255 * 64 still fits
TOP_WITHOUT_VNNI = 64
TINY = 1e-12  # a row of zeros is divided by this
TRIED_ROWS = (1, 50)  # oneDNN has other code for single rows


class Int8Product:
    """float32 in, float32 out. Raises SettingsError where this build of torch cannot multiply int8."""

    def __init__(self, weight_nk: Tensor, bias_n: Tensor | None, activation: Activation) -> None:
        self._scales = weight_nk.abs().amax(1).clamp_min_(TINY) / weight_top()
        whole = (weight_nk / self._scales[:, None]).round_().to(torch.int8)
        self._weight = laid_out(whole)
        self._zeros = torch.zeros(len(whole), dtype=torch.int32)
        self._bias = torch.zeros(len(whole)) if bias_n is None else bias_n
        self._activation = activation

    def __call__(self, rows_mk: Tensor) -> Tensor:
        return activated(self._linear(rows_mk), self._activation)

    def onto(self, rows_mk: Tensor, sum_mn: Tensor) -> Tensor:
        return sum_mn.add_(self._linear(rows_mk))

    def _linear(self, rows_mk: Tensor) -> Tensor:
        whole_mk, scales_m1 = quantised(rows_mk)
        return torch.addcmul(self._bias, times(whole_mk, self._weight, self._scales, self._zeros), scales_m1)


def quantised(rows_mk: Tensor) -> tuple[Tensor, Tensor]:
    """(M, K) int8 and (M, 1) scales, the product of which is nearly `rows_mk`."""
    # two plain maxima: abs() would write a copy first, and aminmax is not vectorised along rows
    largest = torch.maximum(rows_mk.amax(1, keepdim=True), rows_mk.amin(1, keepdim=True).neg_())
    scales_m1 = largest.clamp_min_(TINY).div_(TOP)
    return (rows_mk / scales_m1).round_().to(torch.int8), scales_m1


def times(whole_mk: Tensor, weight: Tensor, scales_n: Tensor, zeros_n: Tensor) -> Tensor:
    """(M, N) float32: the integer product, each column times its scale."""
    ops: Any = torch.ops.onednn
    result: Tensor = ops.qlinear_pointwise.default(
        *(whole_mk, 1.0, 0, weight, scales_n, zeros_n, None),  # a scale for all rows: we have one for each
        *(1.0, 0, torch.float32, "none", [], "none"),
    )
    return result


@cache
def weight_top() -> int:
    """The largest weight with which this processor still multiplies right, found by trying."""
    return TOP if all(exact(rows) for rows in TRIED_ROWS) else TOP_WITHOUT_VNNI


def exact(rows: int) -> bool:
    """Whether a product of the largest numbers comes out right: in 16 bits it does not."""
    weight_nk, whole_mk = torch.full((32, 64), TOP, dtype=torch.int8), torch.full((rows, 64), TOP, dtype=torch.int8)
    result = times(whole_mk, laid_out(weight_nk), torch.ones(32), torch.zeros(32, dtype=torch.int32))
    return bool((result == TOP * TOP * 64).all())


def laid_out(weight_nk: Tensor) -> Tensor:
    try:
        packed: Tensor = torch.ops.onednn.qlinear_prepack(weight_nk, None)
    except (AttributeError, RuntimeError) as error:
        raise SettingsError(
            f"CLIP_PRECISION='int8': torch {torch.__version__} has no int8 products for this processor "
            f"({str(error).splitlines()[0]}); use fp32"
        ) from error
    return packed
