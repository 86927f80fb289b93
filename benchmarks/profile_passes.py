"""What the time of a pass consists of: products by layer with their share of the machine's peak, attention, the rest.

torch's profiler counts the own time of each operator; the time between operators is Python's. The peak of a precision
is its fastest product among the shapes of all passes, measured alone in the same run.

M rows · K inputs · N outputs
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import click
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.common import Report, add_json_option, format_number, list_fast_precisions
from benchmarks.model_alone import Pass, build_own_passes, time_passes
from benchmarks.servers import MODEL
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.packed import Numerics
from clip_vectorizer.models.products import Int8Product, quantise_rows
from clip_vectorizer.server.settings import PRECISIONS

PASSES = ("image:1", "image:8", "image:32", "text:8")
PRODUCTS = ("mkldnn::_linear_pointwise", "onednn::qlinear_pointwise", "aten::mm", "aten::addmm")
PATCH_AXES = 6  # of a picture cut into patches
# Kinds of all other operators by parts of their names; the first that fits. In fp32 and bf16, GELU, bias and residual
# are within the products.
PIXELS, BETWEEN, REST = "bytes to patches", "Python between operators", "views and allocations"
KINDS: dict[str, tuple[str, ...]] = {
    "attention": ("attention", "bmm", "softmax"),
    "GELU": ("gelu", "sigmoid"),
    "layer norm": ("layer_norm",),
    "to int8 and back": ("amax", "amin", "maximum", "neg_", "clamp_min", "div", "round", "addcmul", "bitwise_xor"),
    "sums": ("add", "sub"),
    "copies, casts, look-ups": ("copy", "cat", "embedding", "index", "argmax", "nonzero", "cumsum"),
}


@dataclass(slots=True)
class Portion:
    """Of one pass: how long, and for products the operations."""

    milliseconds: float = 0.0
    operations: float = 0.0

    def add(self, milliseconds: float, operations: float) -> None:
        self.milliseconds += milliseconds
        self.operations += operations

    @property
    def rate(self) -> float:
        """GFLOP/s; of integers GOP/s."""
        return self.operations / self.milliseconds / 1e6


@dataclass(frozen=True, slots=True, order=True)
class ProductShape:
    rows: int
    inputs: int
    outputs: int

    @classmethod
    def find(cls, name: str, shapes: Sequence[Any]) -> Self | None:
        """The shape of an operator that multiplies rows by weights; None for other operators."""
        tables = [each for each in shapes if len(each) == 2]
        if name not in PRODUCTS or not tables:
            return None
        (rows, inputs), weight = tables[0], tables[-1]
        return cls(rows, inputs, weight[0] if weight[1] == inputs else weight[1])

    @property
    def operations(self) -> float:
        return 2.0 * self.rows * self.inputs * self.outputs

    @property
    def layer(self) -> str:
        return f"{self.inputs} x {self.outputs}"


@dataclass(slots=True)
class PassParts:
    whole: float  # milliseconds of a pass, not profiled
    profiled: float
    shapes: set[ProductShape] = field(default_factory=set)
    products: dict[str, Portion] = field(default_factory=lambda: defaultdict(Portion))  # by layer
    others: dict[str, Portion] = field(default_factory=lambda: defaultdict(Portion))  # by kind

    @property
    def all_products(self) -> Portion:
        parts = self.products.values()
        return Portion(sum(each.milliseconds for each in parts), sum(each.operations for each in parts))


@click.command()
@click.option("--precision", "precisions", multiple=True, type=click.Choice(PRECISIONS), help="All if none is named.")
@click.option(
    "--pass", "passes", multiple=True, default=PASSES, show_default=True, help="image or text, and the batch."
)
@click.option("--seconds", default=1.0, show_default=True, help="For each pass.")
@click.option("--model", default=MODEL, show_default=True, help="ARCHITECTURE::random, with a transformer for images.")
@add_json_option
def main(precisions: Sequence[str], passes: Sequence[str], seconds: float, model: str, json_file: Path | None) -> None:
    """Print what the passes of a model consist of.

    \b
    Example:
      python benchmarks/profile_passes.py --precision fp32 --pass image:8
    """
    report = Report("a pass by its parts: share of its time, and of the products' peak")
    report.begin()
    for precision in precisions or list_fast_precisions():
        make = build_own_passes(model, precision)
        parts = {name: measure_pass(make(*parse_pass(name)), seconds) for name in passes}
        peak = max(measure_alone(precision, shape) for each in parts.values() for shape in each.shapes)
        for line in format_parts(precision, parts, peak):
            report.note(line)
    report.write(json_file)


def parse_pass(name: str) -> tuple[str, int]:
    kind, _, batch = name.partition(":")
    if kind not in ("image", "text") or not batch.isdecimal() or not int(batch):
        raise click.UsageError(f"--pass {name}: give image:BATCH or text:BATCH, such as image:8")
    return kind, int(batch)


def measure_pass(run: Pass, seconds: float) -> PassParts:
    times = time_passes(run, seconds)
    count = min(max(3, len(times) // 2), 50)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as found:
        start = time.perf_counter()
        for _ in range(count):
            run()
        profiled = (time.perf_counter() - start) * 1000 / count
    parts = PassParts(statistics.median(times), profiled)
    for event in found.events() or ():
        sort_event(parts, event.name, event.input_shapes, event.self_cpu_time_total / 1000 / count)
    known = (parts.all_products, *parts.others.values())
    parts.others[BETWEEN].add(profiled - sum(each.milliseconds for each in known), 0)
    for portion in parts.products.values():
        portion.operations /= count
    return parts


def sort_event(parts: PassParts, name: str, shapes: Sequence[Any], milliseconds: float) -> None:
    if shape := ProductShape.find(name, shapes):
        parts.shapes.add(shape)
        parts.products[shape.layer].add(milliseconds, shape.operations)
        return
    if any(is_picture(each) for each in shapes):
        kind = PIXELS
    else:
        kind = next((kind for kind, words in KINDS.items() if any(word in name for word in words)), REST)
    parts.others[kind].add(milliseconds, 0)


def is_picture(shape: Any) -> bool:
    """Whether these are the axes of pictures, whole (four, one of them colours) or in patches."""
    return isinstance(shape, list) and (len(shape) == PATCH_AXES or (len(shape) == 4 and 3 in shape[1:]))


def measure_alone(precision: str, shape: ProductShape) -> float:
    """GFLOP/s of one product with nothing around it."""
    rng = torch.Generator().manual_seed(0)
    rows, weight = (torch.randn(count, shape.inputs, generator=rng) for count in (shape.rows, shape.outputs))
    with torch.inference_mode():
        times = time_passes(prepare_product(precision, rows, weight), 0.1)
    return Portion(statistics.median(times), shape.operations).rate


def prepare_product(precision: str, rows_mk: torch.Tensor, weight_nk: torch.Tensor) -> Callable[[], object]:
    numerics = Numerics.of(Placement(precision=precision))
    product = numerics.make(weight_nk.to(numerics.dtype), None, "none")
    if not isinstance(product, Int8Product):
        rows = rows_mk.to(numerics.dtype)
        return lambda: product(rows)
    whole, _ = quantise_rows(rows_mk)
    return lambda: product.multiply(whole)


def format_parts(precision: str, parts: Mapping[str, PassParts], peak: float) -> Iterator[str]:
    each_pass = list(parts.values())
    unit = "GOP/s" if precision == "int8" else "GFLOP/s"
    yield f"\n{precision}; a product alone: {peak:.0f} {unit}\n"
    yield format_cells("share of the time", parts)
    yield format_cells("---", ["---"] * len(parts))
    yield format_cells("a pass, ms", [format_number(each.whole) for each in each_pass])
    for layer in sort_names(each.products for each in each_pass):
        cells = [format_product(each.products.get(layer), each.profiled, peak) for each in each_pass]
        yield format_cells(f"product {layer}: share, {unit}, of the peak", cells)
    for kind in sort_names(each.others for each in each_pass):
        yield format_cells(kind, [format_share(each.others.get(kind), each.profiled) for each in each_pass])
    yield format_cells("all products", [format_product(each.all_products, each.profiled, peak) for each in each_pass])
    whole = [Portion(each.whole, each.all_products.operations).rate for each in each_pass]
    yield format_cells(f"the pass: {unit}, of the peak", [f"{rate:.0f}, {rate / peak:.2f}" for rate in whole])


def sort_names(portions: Any) -> list[str]:
    """Names of all passes, by their largest share of milliseconds in any."""
    longest: dict[str, float] = defaultdict(float)
    for each in portions:
        total = sum(portion.milliseconds for portion in each.values())
        for name, portion in each.items():
            longest[name] = max(longest[name], portion.milliseconds / total)
    return sorted(longest, key=lambda name: -longest[name])


def format_product(portion: Portion | None, whole: float, peak: float) -> str:
    if not portion:
        return "-"
    return f"{portion.milliseconds / whole:.1%}, {portion.rate:.0f}, {portion.rate / peak:.2f}"


def format_share(portion: Portion | None, whole: float) -> str:
    return f"{portion.milliseconds / whole:.1%}" if portion else "-"


def format_cells(first: str, others: Any) -> str:
    return f"| {' | '.join((first, *others))} |"


if __name__ == "__main__":
    main()
