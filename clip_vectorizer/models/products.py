"""Linear layers for a CPU: weights reordered once for oneDNN, with activation and residual fused into the product.

Stock torch reorders a weight in every call, and reads the result again for the bias, the GELU and the sum.

Products of 8-bit integers use the integer units of the CPU (VNNI, AMX, or AVX2 through oneDNN). A weight has one scale
per output channel, fixed at loading. An activation has one scale per row, computed from that row: nothing is calibrated
on sample images, nothing is clipped, and the result of a row does not depend on the other rows.

M rows · K inputs · N outputs
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from clip_vectorizer.errors import SettingsError

QUICK_GELU_SLOPE = 1.702  # QuickGELU is x * sigmoid(1.702 x), Hendrycks and Gimpel 2016
LAYOUT_ROWS = 400  # 8 images of ViT-B-32: oneDNN's layout for it is within 2 % of the best from 50 rows to 800
MAX_INT8 = 127  # symmetric: -128 is not used
# AVX2 without VNNI adds two products of an unsigned and a signed byte in 16 bits: 2 * 255 * 64 still fits
MAX_INT8_WITHOUT_VNNI = 64
TINY = 1e-12  # a row of zeros is divided by this
TRIED_ROWS = (1, 50)  # oneDNN uses other kernels for single rows
UNSIGNED_ZERO = 128  # the unsigned byte that stands for 0: n + 128 is the signed byte n with its first bit flipped

Activation = Literal["none", "gelu", "quick_gelu"]


@dataclass(frozen=True, slots=True)
class AttentionHeads:
    """The parts of a transformer CLIP that its weights do not contain: heads of each tower, and the activation."""

    image: int  # 0: the image tower is no transformer
    text: int
    activation: Activation


class Product(Protocol):
    def __call__(self, rows_mk: Tensor) -> Tensor:
        """Return (M, N): activation of rows @ weight.T + bias."""

    def onto(self, rows_mk: Tensor, sum_mn: Tensor) -> Tensor:
        """Return (M, N): `sum_mn` + rows @ weight.T + bias. May write into `sum_mn`."""


MakeProduct = Callable[[Tensor, Tensor | None, Activation], Product]


def make_product(weight_nk: Tensor, bias_n: Tensor | None, activation: Activation) -> Product:
    """Return the fastest product of this torch and CPU for the dtype of the weight: float32 or bfloat16."""
    ops: Any = torch.ops.mkldnn
    able = torch._C._has_mkldnn
    if able and (weight_nk.dtype == torch.float32 or ops._is_mkldnn_bf16_supported()):
        return PackedProduct(weight_nk, bias_n, activation)
    return StockProduct(weight_nk, bias_n, activation)


class PackedProduct:
    def __init__(self, weight_nk: Tensor, bias_n: Tensor | None, activation: Activation) -> None:
        ops: Any = torch.ops.mkldnn
        self._times, self._onto = ops._linear_pointwise.default, ops._linear_pointwise.binary
        # oneDNN has x * sigmoid(x): with rows scaled by 1.702 before it, QuickGELU is that divided by 1.702
        self._scale = QUICK_GELU_SLOPE if activation == "quick_gelu" else 1.0
        self._kind = {"none": ("none", ""), "gelu": ("gelu", "none"), "quick_gelu": ("swish", "")}[activation]
        self._weight = ops._reorder_linear_weight((weight_nk * self._scale).contiguous(), LAYOUT_ROWS)
        self._bias = None if bias_n is None else bias_n * self._scale

    def __call__(self, rows_mk: Tensor) -> Tensor:
        name, algorithm = self._kind
        rows: Tensor = self._times(rows_mk, self._weight, self._bias, name, [], algorithm)
        return rows if self._scale == 1.0 else rows.div_(self._scale)

    def onto(self, rows_mk: Tensor, sum_mn: Tensor) -> Tensor:
        rows: Tensor = self._onto(rows_mk, sum_mn, self._weight, self._bias, "add")
        return rows


class StockProduct:
    """Product for a torch without oneDNN, or a CPU on which oneDNN has no bf16."""

    def __init__(self, weight_nk: Tensor, bias_n: Tensor | None, activation: Activation) -> None:
        self._weight, self._bias, self._activation = weight_nk, bias_n, activation

    def __call__(self, rows_mk: Tensor) -> Tensor:
        return apply_activation(F.linear(rows_mk, self._weight, self._bias), self._activation)

    def onto(self, rows_mk: Tensor, sum_mn: Tensor) -> Tensor:
        return sum_mn.add_(self(rows_mk))


def apply_activation(rows_mn: Tensor, activation: Activation) -> Tensor:
    """Return (M, N). Writes into `rows_mn`."""
    if activation == "gelu":
        ops: Any = torch.ops.aten
        ops.gelu_(rows_mn)
    elif activation == "quick_gelu":
        rows_mn.mul_(torch.sigmoid(QUICK_GELU_SLOPE * rows_mn))
    return rows_mn


class Int8Product:
    """float32 in, float32 out. Raises SettingsError where this build of torch cannot multiply int8."""

    def __init__(self, weight_nk: Tensor, bias_n: Tensor | None, activation: Activation) -> None:
        self._scales = weight_nk.abs().amax(1).clamp_min_(TINY) / find_max_weight()
        whole = (weight_nk / self._scales[:, None]).round_().to(torch.int8)
        self._weight = prepack_weight(whole)
        self._zeros = torch.zeros(len(whole), dtype=torch.int32)
        self._bias = torch.zeros(len(whole)) if bias_n is None else bias_n
        self._activation = activation

    def __call__(self, rows_mk: Tensor) -> Tensor:
        return apply_activation(self._linear(rows_mk), self._activation)

    def onto(self, rows_mk: Tensor, sum_mn: Tensor) -> Tensor:
        return sum_mn.add_(self._linear(rows_mk))

    def _linear(self, rows_mk: Tensor) -> Tensor:
        whole_mk, scales_m1 = quantise_rows(rows_mk)
        product_mn = self.multiply(whole_mk)  # written into: a second matrix of this size costs page faults
        return torch.addcmul(self._bias, product_mn, scales_m1, out=product_mn)

    def multiply(self, whole_mk: Tensor) -> Tensor:
        """Return (M, N) float32: rows of int8 @ weight.T. Writes into `whole_mk`."""
        return multiply_int8(whole_mk, self._weight, self._scales, self._zeros)


def quantise_rows(rows_mk: Tensor) -> tuple[Tensor, Tensor]:
    """Return (M, K) int8 and (M, 1) scales, whose product approximates `rows_mk`."""
    # two plain maxima: abs() would write a copy first, and aminmax is not vectorised along rows
    largest = torch.maximum(rows_mk.amax(1, keepdim=True), rows_mk.amin(1, keepdim=True).neg_())
    scales_m1 = largest.clamp_min_(TINY).div_(MAX_INT8)
    return (rows_mk / scales_m1).round_().to(torch.int8), scales_m1


def multiply_int8(whole_mk: Tensor, weight: Tensor, scales_n: Tensor, zeros_n: Tensor) -> Tensor:
    """Return (M, N) float32: the integer product, each column times its scale. Writes into `whole_mk`.

    oneDNN gets unsigned rows. Without AMX the weights that torch packs fit no others: it (3.13) then falls back to
    plain C++, which takes seconds for a product.
    """
    ops: Any = torch.ops.onednn
    result: Tensor = ops.qlinear_pointwise.default(
        *(
            whole_mk.view(torch.uint8).bitwise_xor_(UNSIGNED_ZERO),
            1.0,
            UNSIGNED_ZERO,
            weight,
            scales_n,
            zeros_n,
            None,
        ),  # one scale for all rows; ours, one per row, is applied by the caller
        *(1.0, 0, torch.float32, "none", [], "none"),
    )
    return result


@cache
def find_max_weight() -> int:
    """Return the largest weight with which this processor multiplies exactly, found by trying."""
    return MAX_INT8 if all(is_exact(rows) for rows in TRIED_ROWS) else MAX_INT8_WITHOUT_VNNI


def is_exact(rows: int) -> bool:
    """Whether a product of the largest numbers is exact: with sums in 16 bits it overflows."""
    weight_nk, whole_mk = (
        torch.full((32, 64), MAX_INT8, dtype=torch.int8),
        torch.full((rows, 64), MAX_INT8, dtype=torch.int8),
    )
    result = multiply_int8(whole_mk, prepack_weight(weight_nk), torch.ones(32), torch.zeros(32, dtype=torch.int32))
    return bool((result == MAX_INT8 * MAX_INT8 * 64).all())


def prepack_weight(weight_nk: Tensor) -> Tensor:
    try:
        packed: Tensor = torch.ops.onednn.qlinear_prepack(weight_nk, None)
    except (AttributeError, RuntimeError) as error:
        raise SettingsError(
            f"CLIP_PRECISION='int8': torch {torch.__version__} has no int8 products for this processor "
            f"({str(error).splitlines()[0]}); use fp32"
        ) from error
    return packed
