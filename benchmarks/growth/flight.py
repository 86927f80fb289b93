"""How cost grows with requests in flight at a sidecar: images a second, times, refusals. One image a request."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.growth.curves import Curve, Panel
from benchmarks.load import drive_load
from benchmarks.many_clients import stamp_picture
from benchmarks.photographs import make_photographs
from benchmarks.servers import MODEL, start_own_server

STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
MODELS = {"emoji": "emoji", "ViT-B-32": MODEL}
PICTURES = 64  # of other pixels; each request has other bytes, so none is answered from the cache
TURNS = 2  # how often every place in flight is answered while it is measured
COLUMNS = (
    *("requests in flight", "emoji, images/s", "p50 ms", "p99 ms", "refused", "a batch has", "waits ms"),
    *("ViT-B-32, images/s", "p50 ms", "p99 ms", "refused", "a batch has", "waits ms"),
)


@dataclass(frozen=True, slots=True)
class FlightStep:
    """Of one model with so many requests in flight."""

    in_flight: int
    rate: float  # images a second
    p50: float  # ms
    p99: float
    refused: int  # 503, while it was measured
    batch: float  # images in one pass of the model, the mean
    wait: float  # ms in the queue, the mean


def measure_flight(most: int, seconds: float, progress: Callable[[str], None]) -> Mapping[str, list[FlightStep]]:
    """Measure each of STEPS up to `most`, of each of MODELS, for `seconds` or TURNS."""
    pictures = make_photographs(PICTURES)
    return {name: list(measure_model(model, most, seconds, pictures, progress)) for name, model in MODELS.items()}


def measure_model(
    model: str, most: int, seconds: float, pictures: Sequence[bytes], progress: Callable[[str], None]
) -> Iterator[FlightStep]:
    with start_own_server("fp32", model) as server:
        bodies = stamp_picture(pictures, f"{model}-")
        rate = math.inf  # of the step before
        for in_flight in (each for each in STEPS if each <= most):
            before = read_sums(server.url)
            longer = max(seconds, TURNS * in_flight / rate)
            load = drive_load(server.url, bodies, in_flight, longer, distinct=False, may_refuse=True)
            sums = {name: value - before.get(name, 0.0) for name, value in read_sums(server.url).items()}
            rate = load.rate
            step = FlightStep(
                in_flight,
                *(rate, load.p50, load.p99, load.refused),
                sums["clip_batch_size_sum"] / sums["clip_batch_size_count"],
                1000 * sums["clip_queue_wait_seconds_sum"] / sums["clip_queue_wait_seconds_count"],
            )
            progress(f"{model}: {step}")
            yield step


def read_sums(url: str) -> dict[str, float]:
    """Return sums and counts of the sidecar's measurements of images, from its start; none before the first image."""
    page = httpx.get(f"{url}/metrics", timeout=60, trust_env=False).raise_for_status().text
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.labels.get("kind") == "image" and sample.name.endswith(("_sum", "_count"))
    }


def list_rows(steps: Mapping[str, Sequence[FlightStep]]) -> Iterator[tuple[float, ...]]:
    """Yield the values of COLUMNS."""
    for together in zip(*steps.values(), strict=True):
        yield (
            together[0].in_flight,
            *(
                value
                for step in together
                for value in (step.rate, step.p50, step.p99, step.refused, step.batch, step.wait)
            ),
        )


def build_panels(steps: Mapping[str, Sequence[FlightStep]]) -> list[Panel]:
    flight = "requests in flight"

    def draw(value: Callable[[FlightStep], float], of: str = "") -> list[Curve]:
        return [
            Curve(f"{name}{of}", [float(step.in_flight) for step in found], [value(step) for step in found])
            for name, found in steps.items()
        ]

    return [
        Panel("Images", flight, "images/s", draw(lambda step: step.rate)),
        Panel("One request", flight, "ms", draw(lambda step: step.p50, ", p50") + draw(lambda step: step.p99, ", p99")),
        Panel("Images in one pass of the model", flight, "images, mean", draw(lambda step: step.batch)),
    ]
