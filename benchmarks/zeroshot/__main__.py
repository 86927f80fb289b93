"""How long the labels of a whole collection take once all vectors are stored: three ways of comparing, side by side.

Weaviate and this process share the machine's cores. Vectors are made up, as many and as long as ViT-B-32's: no model
runs. The two ways that query the database for every pair are measured on a part where the whole would take minutes.
"""

import base64
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

import click
import numpy as np
from weaviate import WeaviateClient

from benchmarks.common import Figure, Report, Spread, add_json_option
from clip_vectorizer.client import ModelInfo
from clip_vectorizer.database.collections import CollectionSpec, ensure_image_collection
from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.database.schema import IMAGE, PATH, THUMBNAIL, VECTOR, image_id
from clip_vectorizer.errors import SidecarRefused
from clip_vectorizer.query import Classification
from clip_vectorizer.query.choices import IMAGES, LABELS, MATMUL
from clip_vectorizer.query.connect import WeaviateImages
from clip_vectorizer.query.search.calls import SearchTarget
from clip_vectorizer.query.zeroshot.classify import ClassifyContext, ClassifyOptions, classify, open_stores
from clip_vectorizer.query.zeroshot.comparison import choose_fastest
from clip_vectorizer.vectors import Vectors, unit
from ingest.embedded import LocalStack

CLAIM = "seconds to classify the whole collection, vectors stored: 10,000 images x 1,000 labels in <= 10 s"
THUMBNAIL_BYTES, FILE_BYTES = 9_000, 98_000  # of base64 12 and 130 KB
INFO = ModelInfo("made-up", "0" * 16, 512, 224, 77, "none", 100.0, "cpu", "fp32")
STRATEGIES = (MATMUL, LABELS, IMAGES)
SHAPES = ((1, 2), (1, 1000), (100, 10), (1000, 2), (1000, 1000), (10_000, 2), (10_000, 1000))


@dataclass(frozen=True, slots=True)
class MadeUp:
    """Obeys Encoder: the same text, the same direction."""

    dimension: int

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return directions([crc32(text.encode()) for text in texts], self.dimension)

    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]:
        raise AssertionError("all images are stored")


def directions(seeds: Iterable[int], dimension: int) -> Vectors:
    rows = [np.random.default_rng(seed).standard_normal(dimension, dtype=np.float32) for seed in seeds]
    return unit(np.stack(rows))


@click.command()
@click.option("--images", default=10_000, show_default=True, type=click.IntRange(100))
@click.option("--full-images", default=1_000, show_default=True, type=click.IntRange(10), help="With files of 98 KB.")
@click.option("--dimension", default=INFO.dimension, show_default=True, type=click.IntRange(2))
@click.option("--pairs", default=100_000, show_default=True, help="Most pairs to query the database for in a round.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@add_json_option
def main(images: int, full_images: int, dimension: int, pairs: int, rounds: int, json_file: Path | None) -> None:
    """Compare the ways of classifying a collection; all must give the same labels.

    \b
    Example:
      python benchmarks/zeroshot --images 2000 --rounds 1
    """
    report = Report(CLAIM)
    report.begin()
    info = replace(INFO, dimension=dimension)
    with TemporaryDirectory() as folder, LocalStack("emoji", Path(folder)) as local:
        weaviate = local.weaviate
        with connect_weaviate(weaviate.url, weaviate.grpc_port, weaviate.api_key) as client:
            context = fill_collection(client, weaviate.url, info, "Thumbnails", images, THUMBNAIL, THUMBNAIL_BYTES)
            for shape in (each for each in SHAPES if each[0] <= images):
                compare(report, context, *shape, "thumbnails stored", rounds, pairs)
            context = fill_collection(client, weaviate.url, info, "Files", full_images, IMAGE, FILE_BYTES)
            for labels in (2, 1000):
                compare(report, context, full_images, labels, "files of 98 KB stored", rounds, pairs)
    report.write(json_file)


def fill_collection(
    client: WeaviateClient, url: str, info: ModelInfo, name: str, count: int, blob: str, size: int
) -> ClassifyContext:
    keep = "full" if blob == IMAGE else "thumbnail"
    ensure_image_collection(client, info, name, CollectionSpec(keep, by_module=False))
    content = base64_noise(size)
    with client.collections.use(name).batch.fixed_size(64, 2) as batch:
        for index, vector_d in enumerate(directions(range(count), info.dimension)):
            path = f"folder/{index:06}.jpg"
            batch.add_object({PATH: path, blob: content}, uuid=image_id(path), vector={VECTOR: vector_d.tolist()})
    assert not client.collections.use(name).batch.failed_objects
    return ClassifyContext(
        info,
        MadeUp(info.dimension),
        open_stores(client, url, info, WeaviateImages(client, url, SearchTarget(name, {}))),
    )


def base64_noise(size: int) -> str:
    return base64.b64encode(np.random.default_rng(0).bytes(size)).decode()


def compare(
    report: Report, context: ClassifyContext, images: int, labels: int, stored: str, rounds: int, pairs: int
) -> None:
    """Report the seconds of each strategy, and whether all gave the same labels to the images that all classified."""
    names = [f"label {index}" for index in range(labels)]
    run(context, names, MATMUL, 1)  # the labels are stored now
    seen: dict[str, list[Classification]] = {}
    medians: dict[str, float] = {}
    for strategy in STRATEGIES:
        part = images if strategy == MATMUL else max(1, min(images, pairs // labels))
        times = []
        for _ in range(rounds):
            begin = time.perf_counter()
            seen[strategy] = run(context, names, strategy, part)
            times.append((time.perf_counter() - begin) * images / part)
        medians[strategy] = Spread.of(times).median
        what = f"{images:,} images x {labels:,} labels, {stored}, by {strategy}" + of_part(part, images)
        target = "<= 10 s" if (images, labels, strategy) == (10_000, 1000, MATMUL) else ""
        report.add(Figure(what, "s", None, Spread.of(times), None, target=target))
    agree = [is_same_result(each) for each in zip(*seen.values(), strict=False)]
    chosen, best = (
        choose_fastest(images, labels, context.info.dimension, False),
        min(medians, key=lambda name: medians[name]),
    )
    report.note(
        f"  of {len(agree)} images that all classified, {sum(agree)} got the same label and runner-up from all; "
        f"auto chooses {chosen}, the fastest was {best}"
    )


def of_part(part: int, images: int) -> str:
    return "" if part == images else f" (from {part:,} images)"


def run(context: ClassifyContext, labels: Sequence[str], strategy: str, images: int) -> list[Classification]:
    return list(classify(None, labels, ["{}"], images, ClassifyOptions(strategy=strategy), context))


def is_same_result(results: tuple[Classification, ...]) -> bool:
    return len({(each.path, each.label, each.runner_up) for each in results}) == 1


if __name__ == "__main__":
    main()
