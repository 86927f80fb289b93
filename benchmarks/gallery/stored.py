"""A collection of many images for the page: vectors synthesised from those of the examples, with their thumbnails.

N images · S examples · D dimensions
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.collections import CollectionSpec
from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.query.evaluation.dataset import LabelledImage, load_labelled_folder
from clip_vectorizer.query.evaluation.index_data import synthesise_vectors
from clip_vectorizer.query.evaluation.statistics import SEED
from clip_vectorizer.vectors import Vectors
from ingest.choices import Fit, Keep
from ingest.embedded import LocalStack
from ingest.items import Facts, ImageObject, MetadataValue, SourceItem
from ingest.pipeline import split_groups
from ingest.prepare import PrepareSettings, prepare
from ingest.store.base import ImageStore
from ingest.store.open import open_store

EXAMPLES = Path(__file__).parents[2] / "examples" / "images"
COLLECTION = "Image"
BATCH, AT_ONCE = 128, 2  # as `clip-ingest` sends them
CAMERAS = ("Canon EOS R6", "Nikon Z 6", "FUJIFILM X-T5", "Apple iPhone 15", "Google Pixel 8", "SONY ILCE-7M4")
FIRST_TIME = datetime(2010, 1, 1, tzinfo=UTC)
SPAN = timedelta(days=5_800)  # of sixteen years


def fill_collection(stack: LocalStack, count: int) -> None:
    """Store `count` images, unless as many are there already."""
    where = ConnectionSettings(stack.weaviate.url, stack.weaviate.grpc_port, stack.weaviate.api_key, stack.sidecar.url)
    with open_store(where, COLLECTION, CollectionSpec(Keep.THUMBNAIL, embed_here=True)) as store:
        if store.states([make_key(count - 1)]):  # the last one
            return
        items, vectors_nd = make_vectors(stack, count)
        send_all(store, make_objects(items, vectors_nd))


def make_vectors(stack: LocalStack, count: int) -> tuple[Sequence[LabelledImage], Vectors]:
    """Return the S examples, and (N, D) vectors that lie as theirs do."""
    with VectorizerClient(stack.sidecar.url) as sidecar:
        labelled = load_labelled_folder(EXAMPLES, sidecar, lambda _: None)
    return labelled.items, synthesise_vectors(labelled.vectors_nd, count, SEED)


def make_objects(items: Sequence[LabelledImage], vectors_nd: Vectors) -> Iterator[ImageObject]:
    """Each has the picture and the caption of an example, and a camera and a time of its own."""
    rng = np.random.default_rng(SEED)
    pictures = [make_thumbnail(item) for item in items]
    for number, vector_d in enumerate(vectors_nd):
        item = items[number % len(items)]
        metadata: dict[str, MetadataValue] = {
            "camera": CAMERAS[int(rng.integers(len(CAMERAS)))],
            "taken_at": FIRST_TIME + SPAN * rng.random(),
        }
        yield ImageObject(
            key=make_key(number),
            source="/data/images",
            stamp=f"{number:016x}",
            sha256=f"{number:064x}",
            fit=Fit.CROP,
            facts=Facts(item.label, item.caption, metadata),
            mime=("image/jpeg", "image/png", "image/webp")[int(rng.integers(3))],
            size=150_000,
            image=b"",
            thumbnail=pictures[number % len(items)],
            vector_d=vector_d,
        )


def make_key(number: int) -> str:
    return f"{number // 1000:04}/{number:08}.jpg"


def make_thumbnail(item: LabelledImage) -> bytes:
    file = EXAMPLES / item.path
    made = prepare(SourceItem(item.path, "/", "", file.read_bytes, lambda _: Facts()), None, PrepareSettings())
    assert isinstance(made, ImageObject) and made.thumbnail
    return made.thumbnail


def send_all(store: ImageStore, objects: Iterator[ImageObject]) -> None:
    """Send batches side by side; no more are made than are sent."""
    free = threading.Semaphore(2 * AT_ONCE)

    def send(batch: Sequence[ImageObject]) -> None:
        try:
            if refused := store.put(batch):
                raise RuntimeError(f"Weaviate refused {len(refused)} objects: {next(iter(refused.values())).reason}")
        finally:
            free.release()

    with ThreadPoolExecutor(AT_ONCE) as threads:
        sent = []
        for batch in split_groups(objects, BATCH):
            free.acquire()
            sent.append(threads.submit(send, batch))
        for each in sent:
            each.result()
