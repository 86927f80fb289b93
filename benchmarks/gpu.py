"""A GPU: the model alone against the card's peak, and the server under 8, 64 and 256 requests in flight."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import torch

from benchmarks.common import Figure, Report, Spread, add_json_option, side_by_side
from benchmarks.gpu_alone import TERA, build_passes, count_operations, find_peak, measure_product_peak
from benchmarks.many_clients import measure_rate
from benchmarks.servers import HERE, Server, run_server, start_own_server
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.torch_encoder import TorchEncoder

CLAIM = "GPU: TFLOP/s of the model alone by batch size; images/s of the server by requests in flight"
MODELS = ("ViT-B-32::random", "ViT-L-14::random")
NO_GPU = "no CUDA device here, so nothing was measured; `--device cpu --max-batch 2` rehearses the code on the CPU"
TARGET = {64: ">= 30"}  # of ours / one at a time, by requests in flight


@dataclass(frozen=True, slots=True)
class Plan:
    device: str
    precision: str
    max_batch: int
    seconds: float
    rounds: int
    in_flight: tuple[int, ...]
    decode_threads: int
    peak: float | None


@click.command()
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True, help="ARCHITECTURE::random.")
@click.option("--device", default="cuda", show_default=True, help="Of the server too: cuda:0,cuda:0 is two workers.")
@click.option("--precision", default="bf16", show_default=True)
@click.option("--max-batch", default=256, show_default=True, type=click.IntRange(1))
@click.option("--in-flight", multiple=True, default=(8, 64, 256), show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=3.0, show_default=True, help="For each value.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Of the servers.")
@click.option("--decode-threads", default=8, show_default=True, type=click.IntRange(1))
@click.option("--peak", type=float, help="TFLOP/s of the card in this precision; known for common ones in bf16.")
@click.option("--alone", is_flag=True, help="The model alone, without servers.")
@add_json_option
def main(models: tuple[str, ...], alone: bool, json_file: Path | None, **settings: object) -> None:
    """Measure a GPU, or print a sentence where there is none.

    \b
    Example:
      python benchmarks/gpu.py --model ViT-B-32::random --device cpu --max-batch 2 --in-flight 2 --seconds 0.5
    """
    plan, report = Plan(**settings), Report(CLAIM)  # type: ignore[arg-type]  # click has checked them
    if plan.device.startswith("cuda") and not torch.cuda.is_available():
        click.echo(NO_GPU)
        return
    report.begin()
    for model in models:
        print_alone(report, plan, model)
        if not alone:
            print_servers(report, plan, model)
    report.write(json_file)


def print_alone(report: Report, plan: Plan, model: str) -> None:
    first = plan.device.partition(",")[0]
    encoder = load_encoder(ModelName(model), Placement(first, plan.precision))
    assert isinstance(encoder, TorchEncoder)
    encoder.warm_up(plan.max_batch)
    device = torch.device(first)
    peak, product = read_card_peak(plan, device)
    report.note(f"{model}: {format_peak(peak)}; one large product reaches {product:.3g}")
    needed = count_operations(model.partition("::")[0])
    for each in build_passes(encoder, plan.max_batch, plan.seconds):
        tera = needed[each.kind] * each.batch / each.alone / TERA
        share = f", {100 * tera / peak:.0f} % of the peak" if peak else ""
        name = f"{model} alone, {each.kind}s, batch {each.batch}"
        report.add(format_value(name, f"{each.kind}s/s", each.batch / each.with_copies))
        report.add(format_value(f"{name}, without copies", f"{each.kind}s/s", each.batch / each.alone))
        report.note(f"{name}: {tera:.3g} TFLOP/s{share}, {100 * tera / product:.0f} % of a large product")


def read_card_peak(plan: Plan, device: torch.device) -> tuple[float | None, float]:
    """By the option or the data sheet, and by a product that was measured; both TFLOP/s."""
    dtype = torch.bfloat16 if plan.precision == "bf16" else torch.float32
    sheet = find_peak(device) if plan.precision == "bf16" else None
    return plan.peak or sheet, measure_product_peak(device, dtype, plan.seconds)


def format_peak(peak: float | None) -> str:
    return f"the card's peak is {peak:g} TFLOP/s" if peak else "the card's peak is not known here (--peak)"


def print_servers(report: Report, plan: Plan, model: str) -> None:
    """Both servers stay up; each round sends requests to each in turn."""
    rates: dict[tuple[str, int], list[float]] = {}
    limits = {"CLIP_MAX_BATCH": str(plan.max_batch), "CLIP_DECODE_THREADS": str(plan.decode_threads)}
    with (
        find_upstream_model(plan, model) as other,
        start_own_server(plan.precision, model, CLIP_DEVICE=plan.device, **limits) as own,
    ):
        for number in range(plan.rounds):
            for load in plan.in_flight:
                for server in (other, own):
                    rate = measure_rate(server.url, load, plan.seconds, f"{number}-{load}")
                    rates.setdefault((server.name, load), []).append(rate)
    for load in plan.in_flight:
        theirs, mine = rates[other.name, load], rates[own.name, load]
        what = f"{model} on {plan.device}, images/s, {load} in flight"
        report.add(side_by_side(what, "images/s", theirs, mine, other.name, TARGET.get(load, "")))


@contextmanager
def find_upstream_model(plan: Plan, model: str) -> Iterator[Server]:
    """One item at a time on the same device, in fp32, as the upstream container works."""
    device = plan.device.partition(",")[0]
    words = (str(HERE / "one_at_a_time.py"), "--model", model.partition("::")[0], "--device", device, "--port", "PORT")
    with run_server("one at a time", (sys.executable, *words)) as server:
        yield server


def format_value(what: str, unit: str, amount: float) -> Figure:
    return Figure(what, unit, None, Spread.of([amount]), None)


if __name__ == "__main__":
    main()
