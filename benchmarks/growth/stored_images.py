"""Collections of many images in folders of their own, filled once and kept: what is put in, and how long it took.

N images · S examples · D dimensions
"""

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.gallery.stored import AT_ONCE, BATCH, make_objects
from benchmarks.growth.processes import find_listener, read_cpu_seconds
from benchmarks.photographs import make_photographs
from benchmarks.scale.database import disk_bytes
from benchmarks.scale.rates import thumbnail_of
from clip_vectorizer.database.collections import CollectionSpec
from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.query.evaluation.dataset import LabelledImage
from clip_vectorizer.vectors import Vectors
from ingest.choices import Keep
from ingest.embedded import LocalWeaviate
from ingest.items import ImageObject
from ingest.pipeline import split_groups
from ingest.store.base import ImageStore
from ingest.store.open import open_store

COLLECTION = "Image"
RECORD, RECORD_OF_START = "fill.json", "filling"
PICTURES = 8  # different thumbnails
PICTURE_SIZE = (1024, 768)
MOST_WITH_THUMBNAILS = 100_000  # 15 GB more at a million
MARKS = tuple(digit * 10**power for power in range(3, 8) for digit in (1, 2, 5))


@dataclass(frozen=True, slots=True)
class FillMark:
    """When so many images were stored: seconds since the first one was sent, and processor time of both sides."""

    stored: int
    seconds: float
    weaviate_seconds: float  # of all cores
    client_seconds: float


@dataclass(frozen=True, slots=True)
class FillRecord:
    """How a collection was filled. Written beside it when it is complete."""

    count: int
    dimension: int
    quantizer: str
    thumbnails: bool
    disk_bytes: int
    marks: tuple[FillMark, ...]

    @classmethod
    def read(cls, file: Path) -> "FillRecord | None":
        """Return None where there is none: the collection is missing or incomplete."""
        if not file.exists():
            return None
        values = json.loads(file.read_text())
        marks = tuple(FillMark(**each) for each in values.pop("marks"))
        return cls(marks=marks, **values)

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """What a collection of a growth curve holds."""

    count: int
    quantizer: str

    @property
    def keep(self) -> Keep:
        return Keep.THUMBNAIL if self.count <= MOST_WITH_THUMBNAILS else Keep.HASH

    def choose_folder(self, data: Path) -> Path:
        return data / f"{self.quantizer}-{self.count}"


def ensure_filled(
    plan: ImagePlan,
    data: Path,
    sidecar_url: str,
    items: Sequence[LabelledImage],
    vectors_nd: Vectors,
    progress: Callable[[str], None],
) -> FillRecord:
    """Fill the collection of `plan` under `data` unless that is done, and return the record.

    What an interrupted fill left is removed. Raises FileExistsError for a folder that is another's.
    """
    folder = plan.choose_folder(data)
    if found := FillRecord.read(folder / RECORD):
        return found
    if (folder / RECORD_OF_START).exists():  # an earlier fill did not end: updates would cost other than inserts
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / RECORD_OF_START).touch()
    with LocalWeaviate(folder, sidecar_url) as weaviate:
        pid = find_listener(urlsplit(weaviate.url).port or 0)
        spec = CollectionSpec(plan.keep, embed_here=True, quantizer=plan.quantizer)
        with open_store(get_settings(weaviate, sidecar_url), COLLECTION, spec) as store:
            marks = send_all(store, make_images(items, vectors_nd, plan.keep), pid, progress)
    record = FillRecord(
        plan.count, vectors_nd.shape[1], plan.quantizer, plan.keep is Keep.THUMBNAIL, disk_bytes(folder), tuple(marks)
    )
    record.write(folder / RECORD)
    return record


def get_settings(weaviate: LocalWeaviate, sidecar_url: str) -> ConnectionSettings:
    return ConnectionSettings(weaviate.url, weaviate.grpc_port, weaviate.api_key, sidecar_url)


def make_images(items: Sequence[LabelledImage], vectors_nd: Vectors, keep: Keep) -> Iterator[ImageObject]:
    """Yield what `clip-ingest --keep` would send of N photographs with these vectors."""
    photographs = make_photographs(PICTURES, size=PICTURE_SIZE) if keep is Keep.THUMBNAIL else []
    thumbnails: list[bytes | None] = [thumbnail_of(each) for each in photographs]
    thumbnails = thumbnails or [None]
    for number, each in enumerate(make_objects(items, vectors_nd)):
        digest = hashlib.sha256(each.key.encode()).hexdigest()
        yield replace(each, sha256=digest, stamp=digest[:16], thumbnail=thumbnails[number % len(thumbnails)])


def send_all(
    store: ImageStore, objects: Iterator[ImageObject], pid: int, progress: Callable[[str], None]
) -> list[FillMark]:
    """Send batches as `clip-ingest` does, and return when each of MARKS was reached, and the end."""
    free = threading.Semaphore(2 * AT_ONCE)  # no more are made than are sent
    counter = FillCounter(pid, progress)

    def send(batch: Sequence[ImageObject]) -> None:
        try:
            if refused := store.put(batch):
                raise RuntimeError(f"Weaviate refused {len(refused)} objects: {next(iter(refused.values())).reason}")
            counter.add(len(batch))
        finally:
            free.release()

    with ThreadPoolExecutor(AT_ONCE) as threads:
        sent = []
        for batch in split_groups(objects, BATCH):
            free.acquire()
            sent.append(threads.submit(send, batch))
        for each in sent:
            each.result()
    return counter.end()


class FillCounter:
    """Counts what is stored, and records FillMarks. Thread-safe."""

    def __init__(self, pid: int, progress: Callable[[str], None]) -> None:
        self._pid, self._progress = pid, progress
        self._lock = threading.Lock()
        self._stored = 0
        self._marks: list[FillMark] = []
        self._next = iter(MARKS)
        self._mark_at = next(self._next)
        self._start = time.perf_counter()
        self._first_seconds = read_cpu_seconds(pid), time.process_time()

    def add(self, count: int) -> None:
        with self._lock:
            self._stored += count
            if self._stored >= self._mark_at:
                self._marks.append(self._take_mark())
                self._mark_at = next(each for each in self._next if each > self._stored)
                self._progress(f"{self._stored:,} stored in {self._marks[-1].seconds:.0f} s")

    def end(self) -> list[FillMark]:
        if not self._marks or self._marks[-1].stored < self._stored:
            self._marks.append(self._take_mark())
        return self._marks

    def _take_mark(self) -> FillMark:
        server, own = self._first_seconds
        return FillMark(
            self._stored,
            time.perf_counter() - self._start,
            read_cpu_seconds(self._pid) - server,
            time.process_time() - own,
        )
