"""Linear layers for a CPU: the weights laid out once for oneDNN; activation and residual computed inside the product.

Stock torch lays a weight out anew for every call, and walks over the result again for the bias, the GELU and the sum.

M rows · K inputs · N outputs
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

Activation = Literal["none", "gelu", "quick_gelu"]
QUICK = 1.702  # QuickGELU is x * sigmoid(1.702 x), Hendrycks and Gimpel 2016
ROWS = 400  # 8 images of ViT-B-32: oneDNN's layout for it is within 2 % of the best from 50 rows to 800


@dataclass(frozen=True, slots=True)
class Heads:
    """What the weights of a transformer CLIP do not tell: attention heads of each tower, and the activation."""

    image: int  # 0: the image tower is no transformer
    text: int
    activation: Activation


class Product(Protocol):
    def __call__(self, rows_mk: Tensor) -> Tensor:
        """(M, N): activation of rows @ weight.T + bias."""

    def onto(self, rows_mk: Tensor, sum_mn: Tensor) -> Tensor:
        """(M, N): `sum_mn` + rows @ weight.T + bias. May write into `sum_mn`."""


MakeProduct = Callable[[Tensor, Tensor | None, Activation], Product]


def product(weight_nk: Tensor, bias_n: Tensor | None, activation: Activation) -> Product:
    """The fastest that this build of torch and this CPU have for the weight's dtype: float32 or bfloat16."""
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
        self._scale = QUICK if activation == "quick_gelu" else 1.0
        self._kind = {"none": ("none", ""), "gelu": ("gelu", "none"), "quick_gelu": ("swish", "")}[activation]
        self._weight = ops._reorder_linear_weight((weight_nk * self._scale).contiguous(), ROWS)
        self._bias = None if bias_n is None else bias_n * self._scale

    def __call__(self, rows_mk: Tensor) -> Tensor:
        name, algorithm = self._kind
        rows: Tensor = self._times(rows_mk, self._weight, self._bias, name, [], algorithm)
        return rows if self._scale == 1.0 else rows.div_(self._scale)

    def onto(self, rows_mk: Tensor, sum_mn: Tensor) -> Tensor:
        rows: Tensor = self._onto(rows_mk, sum_mn, self._weight, self._bias, "add")
        return rows


class StockProduct:
    """Where torch has no oneDNN, or the CPU none of its bf16."""

    def __init__(self, weight_nk: Tensor, bias_n: Tensor | None, activation: Activation) -> None:
        self._weight, self._bias, self._activation = weight_nk, bias_n, activation

    def __call__(self, rows_mk: Tensor) -> Tensor:
        return activated(F.linear(rows_mk, self._weight, self._bias), self._activation)

    def onto(self, rows_mk: Tensor, sum_mn: Tensor) -> Tensor:
        return sum_mn.add_(self(rows_mk))


def activated(rows_mn: Tensor, activation: Activation) -> Tensor:
    if activation == "gelu":
        return F.gelu(rows_mn)
    return rows_mn * torch.sigmoid(QUICK * rows_mn) if activation == "quick_gelu" else rows_mn
