"""How cost grows with labels: encoding them, reading those that are kept, comparing them with images.

As `clip-classify` does it. L labels · N images · D dimensions
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.gallery.stored import COLLECTION, fill_collection
from benchmarks.growth.curves import Curve, Panel
from benchmarks.texts import COUNT, make_caption
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.query import ImageSearch
from ingest.embedded import LocalStack

STEPS = (10, 100, 1_000, 10_000, 100_000)
IMAGES = 5_000
TEMPLATES = ("{}",)  # one text a label; the usual seven take seven times as long to encode
MOST_ENCODED = 2_000  # texts whose rate is measured
COLUMNS = ("labels", "texts encoded/s", "first run, labels made, s", "next run, labels kept, s", "images/s then")


@dataclass(frozen=True, slots=True)
class LabelStep:
    """Costs with so many labels."""

    count: int
    encoded: float  # texts a second, not in the sidecar's cache
    made_seconds: float  # to the first image's label, with labels that are new
    kept_seconds: float  # the same once they are stored
    images: float  # images a second of all others


def measure_labels(most: int, progress: Callable[[str], None]) -> list[LabelStep]:
    """Classify IMAGES stored images with each of STEPS up to `most`."""
    counts = [each for each in STEPS if each <= most]
    with TemporaryDirectory() as folder, LocalStack("emoji", Path(folder)) as stack:
        fill_collection(stack, IMAGES)
        with ImageSearch.connect(
            stack.weaviate.url,
            grpc_port=stack.weaviate.grpc_port,
            api_key=stack.weaviate.api_key,
            vectorizer_url=stack.sidecar.url,
            collection=COLLECTION,
        ) as search:
            steps = []
            first = 0
            for count in counts:
                texts = min(count, MOST_ENCODED)
                encoded = measure_encoding(stack.sidecar.url, make_labels(texts, first))
                labels = make_labels(count, first + texts)
                first += texts + count
                steps.append(measure_step(search, labels, encoded))
                progress(str(steps[-1]))
            return steps


def make_labels(count: int, first: int) -> list[str]:
    """`count` labels from number `first` on, all different.

    >>> len(set(make_labels(60_000, 0)))
    60000
    """
    numbers = range(first, first + count)
    return [
        f"{make_caption(each)}, number {each // COUNT}" if each >= COUNT else make_caption(each) for each in numbers
    ]


def measure_encoding(url: str, texts: Sequence[str]) -> float:
    """Return texts a second, sent as one request."""
    with VectorizerClient(url) as sidecar:
        sidecar.meta()
        start = time.perf_counter()
        sidecar.embed_texts(texts)
        return len(texts) / (time.perf_counter() - start)


def measure_step(search: ImageSearch, labels: Sequence[str], encoded: float) -> LabelStep:
    _, made = time_classification(search, labels, limit=1)
    _, kept = time_classification(search, labels, limit=1)
    images, whole = time_classification(search, labels, limit=None)
    return LabelStep(len(labels), encoded, made, kept, images / (whole - kept))


def time_classification(search: ImageSearch, labels: Sequence[str], limit: int | None) -> tuple[int, float]:
    """Return how many images were classified, and the seconds."""
    start = time.perf_counter()
    count = sum(1 for _ in search.classify(None, labels, templates=TEMPLATES, limit=limit))
    return count, time.perf_counter() - start


def list_rows(steps: Sequence[LabelStep]) -> Iterator[tuple[float, ...]]:
    """Yield the values of COLUMNS."""
    yield from ((step.count, step.encoded, step.made_seconds, step.kept_seconds, step.images) for step in steps)


def build_panels(steps: Sequence[LabelStep]) -> list[Panel]:
    xs = [float(step.count) for step in steps]
    return [
        Panel(
            "Until the first image has its label",
            "labels",
            "s",
            [
                Curve("labels are new", xs, [step.made_seconds for step in steps]),
                Curve("labels are kept", xs, [step.kept_seconds for step in steps]),
            ],
        ),
        Panel("Classified then", "labels", "images/s", [Curve("images", xs, [step.images for step in steps])]),
        Panel("Texts encoded", "labels", "texts/s", [Curve("texts", xs, [step.encoded for step in steps])]),
    ]
