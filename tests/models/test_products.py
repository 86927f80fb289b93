"""Each product against torch's own linear layer."""

import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from clip_vectorizer.models.products import (
    Activation,
    Int8Product,
    MakeProduct,
    PackedProduct,
    StockProduct,
    make_product,
    quantise_rows,
)

MAKERS: list[MakeProduct] = [PackedProduct, StockProduct, Int8Product]
TOLERANCE = {PackedProduct: 1e-5, StockProduct: 1e-5, Int8Product: 0.02}  # of the largest result


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("activation", ["none", "gelu", "quick_gelu"])
@pytest.mark.parametrize("bias", [True, False])
def test_a_product_is_a_linear_layer_and_its_activation(make: MakeProduct, activation: Activation, bias: bool) -> None:
    rows, weight, shift = numbers(37, 96), numbers(80, 96), numbers(80) if bias else None
    expected = F.linear(rows, weight, shift)
    if activation != "none":
        expected = F.gelu(expected) if activation == "gelu" else expected * torch.sigmoid(1.702 * expected)
    result = make(weight, shift, activation)(rows)
    assert (result - expected).abs().max() <= TOLERANCE[make] * expected.abs().max()  # type: ignore[index]


@pytest.mark.parametrize("make", MAKERS)
def test_a_product_adds_onto_what_is_there(make: MakeProduct) -> None:
    rows, weight, shift, there = numbers(5, 64), numbers(32, 64), numbers(32), numbers(5, 32)
    expected = there + F.linear(rows, weight, shift)
    result = make(weight, shift, "none").onto(rows, there.clone())
    assert (result - expected).abs().max() <= TOLERANCE[make] * expected.abs().max()  # type: ignore[index]


def test_bf16_stays_bf16() -> None:
    rows, weight = numbers(9, 64).bfloat16(), numbers(32, 64).bfloat16()
    result = make_product(weight, None, "gelu")(rows)
    expected = F.gelu(F.linear(rows.float(), weight.float()))
    assert result.dtype == torch.bfloat16
    assert (result.float() - expected).abs().max() <= 0.02 * expected.abs().max()


def test_a_row_is_quantised_by_its_own_largest_number() -> None:
    rows = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0], [1e4, 1.0, -3.0]])
    whole, scales = quantise_rows(rows)
    assert whole.tolist() == [[64, -127, 32], [0, 0, 0], [127, 0, 0]]
    torch.testing.assert_close(whole * scales, rows, atol=40.0, rtol=0)
    torch.testing.assert_close((whole * scales)[0], rows[0], atol=2 / 127, rtol=0)


@pytest.mark.parametrize("instructions", ["AVX2", "AVX512_CORE", "AVX512_CORE_VNNI"])
def test_int8_is_right_and_fast_on_processors_with_fewer_instructions(instructions: str) -> None:
    """Full-range weights and rows: where pairs of products were summed in 16 bits, they would saturate."""
    program = """if True:
        import torch
        from clip_vectorizer.models.products import Int8Product
        weight, rows = torch.ones(64, 256), torch.ones(50, 256)
        weight[::2] = -1
        product = Int8Product(weight, None, "none")
        product(rows)
        print("tried")
        result = product(rows)
        assert (result - rows @ weight.T).abs().max() < 1, result
    """
    env = {**os.environ, "ONEDNN_MAX_CPU_ISA": instructions, "ONEDNN_VERBOSE": "profile_exec"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    products = [line for line in done.stdout.partition("tried")[2].splitlines() if "exec,cpu,matmul," in line]
    assert len(products) == 1 and "matmul,ref" not in products[0], products  # ref: plain C++, without vectors
