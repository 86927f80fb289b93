"""What binds the text of a single search: products of few rows read all weights from memory.

The four products of a layer of ViT-B-32's text tower, by the number of rows for which oneDNN laid the weights out, and
by MKL, which takes them as they are. Weights of many layers come in turns, so that no cache holds them.

M rows · K inputs · N outputs
"""

import itertools
import statistics
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.common import Figure, Report, Spread, add_json_option
from benchmarks.model_alone import time_passes
from clip_vectorizer.models.products import LAYOUT_ROWS

SHAPES = {"attention": (512, 1536), "its output": (512, 512), "widened": (512, 2048), "narrowed": (2048, 512)}  # K, N
LAYERS = 24  # 300 MB
BYTES = 4


@click.command()
@click.option("--rows", multiple=True, default=(7, 14, 28), show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=0.3, show_default=True, help="For each product.")
@add_json_option
def main(rows: tuple[int, ...], seconds: float, json_file: Path | None) -> None:
    """Print gigabytes of weights read in a second, for each product.

    \b
    Example:
      python benchmarks/few_rows.py --rows 14
    """
    report = Report("GB/s of weights that products of few rows read, fp32")
    report.begin()
    with torch.inference_mode():
        for count in rows:
            for name, (inputs, outputs) in SHAPES.items():
                weights = [torch.randn(outputs, inputs) for _ in range(LAYERS)]
                for way, products in list_ways(count, weights):
                    times = time_passes(in_turns(products, torch.randn(count, inputs)), seconds)
                    rate = inputs * outputs * BYTES / statistics.median(times) / 1e6
                    report.add(Figure(f"{count} rows, {name}, {way}", "GB/s", None, Spread.of([rate]), None))
    report.write(json_file)


def list_ways(count: int, weights: list[Tensor]) -> Iterable[tuple[str, list[Callable[[Tensor], object]]]]:
    ops: Any = torch.ops.mkldnn
    for laid_out in (count, LAYOUT_ROWS):
        packed = (ops._reorder_linear_weight(each, laid_out) for each in weights)
        yield f"laid out for {laid_out}", [partial(multiply_packed, weight=each) for each in packed]
    yield "MKL", [partial(F.linear, weight=each) for each in weights]


def multiply_packed(rows_mk: Tensor, weight: Tensor) -> object:
    return torch.ops.mkldnn._linear_pointwise(rows_mk, weight, None, "none", [], "")


def in_turns(products: list[Callable[[Tensor], object]], rows_mk: Tensor) -> Callable[[], object]:
    turns = itertools.cycle(products)
    return lambda: next(turns)(rows_mk)


if __name__ == "__main__":
    main()
