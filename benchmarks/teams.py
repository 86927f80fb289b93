"""Why a device has one thread: a second thread that computes brings a second OpenMP team, and both get slower.

A pass over one image on a thread that is the only one to compute, before and after another thread has made one pass.
"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import numpy as np

from benchmarks.common import Report, add_json_option, side_by_side
from benchmarks.servers import MODEL
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder

PASSES = 15


@click.command()
@click.option("--precision", "precisions", multiple=True, default=("fp32", "int8"), show_default=True)
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@add_json_option
def main(precisions: tuple[str, ...], rounds: int, json_file: Path | None) -> None:
    """Compare passes with one and with two threads that have computed.

    \b
    Example:
      python benchmarks/teams.py --precision int8
    """
    report = Report("one image through ViT-B-32 while one thread computes, and when another one has")
    report.begin()
    for precision in precisions:
        encoder = load_encoder_pair(precision)
        one, two = zip(*(measure_round(encoder) for _ in range(rounds)), strict=True)
        report.add(side_by_side(f"ms a pass, {precision}, two threads", "ms", one, two, "one thread"))
    report.write(json_file)


def load_encoder_pair(precision: str) -> Encoder:
    """Loaded by a thread that ends, for loading computes too."""
    with ThreadPoolExecutor(1) as loader:
        return loader.submit(load_encoder, ModelName(MODEL), Placement(precision=precision)).result()


def measure_round(encoder: Encoder) -> tuple[float, float]:
    """Median milliseconds with one thread, then with two; both end with the round."""
    side = encoder.info.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)

    def median() -> float:
        times = []
        for _ in range(PASSES):
            start = time.perf_counter()
            encoder.encode_images([pixels])
            times.append((time.perf_counter() - start) * 1000)
        return statistics.median(times)

    with ThreadPoolExecutor(1) as device, ThreadPoolExecutor(1) as other:
        device.submit(median).result()
        one = device.submit(median).result()
        other.submit(encoder.encode_images, [pixels]).result()
        return one, device.submit(median).result()


if __name__ == "__main__":
    main()
