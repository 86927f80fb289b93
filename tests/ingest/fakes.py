"""A store, a source and an embedder in memory that obey the real ones' protocols, and pictures to feed them.

A vector is the picture's mean colour, so that it is easy to check: a red picture's is (1, 0, 0).
"""

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from clip_vectorizer.database.schema import StoredModel
from clip_vectorizer.errors import SidecarRefused
from clip_vectorizer.vectors import Vectors
from ingest.choices import Fit, Keep
from ingest.embed import StoreChange
from ingest.items import (
    Amendment,
    Facts,
    ImageObject,
    RegionResult,
    SourceItem,
    StoredState,
    UnusableFile,
    digest_facts,
)
from ingest.sources.base import SourceResult
from ingest.store.base import ImageRegionStore, Refusal, RegionObject, StoredDuplicate

MODEL = StoredModel("mean-colour", "1", 3, "none")
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
Colour = tuple[int, int, int]
Answer = TypeVar("Answer")
Sent = TypeVar("Sent", ImageObject, Amendment)


def colour(number: int) -> Colour:
    """Another one for each number below 16 million."""
    return number & 255, number >> 8 & 255, number >> 16


def png(fill: Colour = RED, side: int = 8) -> bytes:
    return encoded(Image.new("RGB", (side, side), fill), "PNG")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def write(file: Path, data: bytes | str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return file


def mean_colour(image: bytes) -> Vectors:
    """(3,) float32 in 0..1. Raises OSError for what is no picture."""
    with Image.open(io.BytesIO(image)) as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)
    mean: Vectors = pixels.reshape(-1, 3).mean(axis=0) / 255
    return mean


class FakeEmbedder:
    """Obeys Embedder. `before` is called with the images of each request, and may raise."""

    def __init__(self, before: Callable[[Sequence[bytes]], None] = lambda _: None) -> None:
        self.batches: list[int] = []
        self._before = before

    def embed(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]:
        self._before(images)
        self.batches.append(len(images))
        return [self._one(image) for image in images]

    def _one(self, image: bytes) -> Vectors | SidecarRefused:
        try:
            return mean_colour(image)
        except OSError:
            return SidecarRefused(422, "not an image; it must be a JPEG, PNG or WebP file")


@dataclass
class FakeStore:
    """Obeys ImageStore. What is put without a vector gets one, as Weaviate's module would make it.

    `before` and `after` are called with the name of each method and the keys it is about, and may raise: a store that
    is away, or that fails after it has done its work. `refuse` returns a refusal for what it does not accept.
    """

    keep: Keep = Keep.THUMBNAIL
    refuse: Callable[[StoreChange], Refusal | None] = lambda _: None
    before: Callable[[str, Sequence[str]], None] = lambda name, keys: None
    after: Callable[[str, Sequence[str]], None] = lambda name, keys: None
    model: StoredModel = MODEL
    regions: ImageRegionStore | None = None
    pixel_check: str = ""
    objects: dict[str, ImageObject] = field(default_factory=dict)
    calls: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def states(self, keys: Sequence[str]) -> Mapping[str, StoredState]:
        return self._do("states", keys, lambda: {key: held(self.objects[key]) for key in keys if key in self.objects})

    def find_duplicates(self, contents: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], StoredDuplicate]:
        return self._do("find_duplicates", [sha256 for sha256, _ in contents], lambda: self._twins(set(contents)))

    def put(self, objects: Sequence[ImageObject]) -> Mapping[str, Refusal]:
        return self._do("put", [item.key for item in objects], lambda: self._refused(objects, self._put))

    def amend(self, amendments: Sequence[Amendment]) -> Mapping[str, Refusal]:
        return self._do("amend", [item.key for item in amendments], lambda: self._refused(amendments, self._amend))

    def delete(self, keys: Sequence[str]) -> None:
        self._do("delete", keys, lambda: [self.objects.pop(key, None) for key in keys])

    def unlink(self, keys: Sequence[str]) -> None:
        self._do("unlink", keys, lambda: self._unlink(set(keys)))

    def keys(self, sources: Sequence[str]) -> Iterator[str]:
        found = [key for key, item in self.objects.items() if item.source in sources]
        return iter(self._do("keys", (), lambda: found))

    def phashes(self) -> Iterator[tuple[str, str]]:
        shown = [item for item in self.objects.values() if item.phash and not item.duplicate_of]
        return iter(self._do("phashes", (), lambda: [(item.key, item.phash) for item in shown]))

    def calls_of(self, name: str) -> list[tuple[str, ...]]:
        """The keys of every call of that method."""
        return [keys for called, keys in self.calls if called == name]

    def _do(self, name: str, keys: Sequence[str], act: Callable[[], Answer]) -> Answer:
        with self._lock:
            self.calls.append((name, tuple(keys)))
        self.before(name, keys)
        with self._lock:
            answer = act()
        self.after(name, keys)
        return answer

    def _twins(self, contents: set[tuple[str, str]]) -> dict[tuple[str, str], StoredDuplicate]:
        found: dict[tuple[str, str], StoredDuplicate] = {}
        for key in sorted(self.objects):
            item = self.objects[key]
            content = (item.sha256, str(item.fit))
            if content in contents and content not in found and item.vector_d is not None:
                found[content] = StoredDuplicate(key, item.vector_d, item.duplicate_of)
        return found

    def _refused(self, changes: Sequence[Sent], act: Callable[[Sent], Refusal | None]) -> dict[str, Refusal]:
        answers = {change.key: self.refuse(change) or act(change) for change in changes}
        return {key: refusal for key, refusal in answers.items() if refusal}

    def _put(self, item: ImageObject) -> Refusal | None:
        try:
            vector_d = mean_colour(item.image) if item.vector_d is None else item.vector_d
        except OSError:
            return Refusal("status 422: not an image")
        self.objects[item.key] = replace(item, vector_d=vector_d, image=item.image if self.keep is Keep.FULL else b"")
        return None

    def _amend(self, change: Amendment) -> Refusal | None:
        old = self.objects[change.key]
        facts, phash, regions = change.facts or old.facts, change.phash or old.phash, change.regions or old.regions
        self.objects[change.key] = replace(
            old, source=change.source, stamp=change.stamp, facts=facts, phash=phash, regions=regions
        )
        return None

    def _unlink(self, keys: set[str]) -> None:
        for item in self.objects.values():
            if item.duplicate_of in keys:
                self.objects[item.key] = replace(item, duplicate_of="")


def held(item: ImageObject) -> StoredState:
    regions = item.regions.stamp if isinstance(item.regions, RegionResult) else ""
    facts = digest_facts(item.facts)
    return StoredState(item.sha256, str(item.fit), item.stamp, facts, item.source, item.phash, regions)


@dataclass
class FakeRegionStore:
    """Obeys ImageRegionStore, beside the images of a FakeStore. `after` may raise, as that of a FakeStore."""

    images: FakeStore
    born: str = "one"
    refuse: Callable[[str], Refusal | None] = lambda _: None
    after: Callable[[str], None] = lambda name: None
    regions: dict[str, list[RegionObject]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def replace(self, regions: Mapping[str, Sequence[RegionObject]], stamped: Sequence[str]) -> Mapping[str, Refusal]:
        self.calls.append("replace")
        self._unstamp(stamped)
        refused = {key: refusal for key in regions if (refusal := self.refuse(key))}
        for key, found in regions.items():
            self.regions[key] = [] if key in refused else list(found)
        self.after("replace")
        return refused

    def discard(self, keys: Sequence[str]) -> int:
        self.calls.append("discard")
        self._unstamp(keys)
        return sum(len(self.regions.pop(key, [])) for key in keys)

    def _unstamp(self, keys: Sequence[str]) -> None:
        for key in keys:
            if key in self.images.objects:
                self.images.objects[key] = replace(self.images.objects[key], regions=None)


@dataclass
class File:
    """What lies under a key. Without a `stamp` of its own, it has one that changes with the bytes and the facts."""

    data: bytes | Exception
    facts: Facts = field(default_factory=Facts)
    stamp: str | None = None
    fit: Fit = Fit.CROP
    held_bytes: int = 0

    @property
    def stamp_now(self) -> str:
        return f"{hash(self.data)} {digest_facts(self.facts)}" if self.stamp is None else self.stamp


class ListSource:
    """Obeys Source: the `files`, which may be changed at any time, then the `others`. Remembers what was read."""

    def __init__(
        self, files: Mapping[str, bytes | File], name: str = "/photos", others: Iterable[SourceResult] = ()
    ) -> None:
        self.files = {key: file if isinstance(file, File) else File(file) for key, file in files.items()}
        self.name, self.others = name, list(others)
        self.reads: list[str] = []

    def __iter__(self) -> Iterator[SourceResult]:
        for key, file in list(self.files.items()):
            yield self.item(key, file)
        yield from self.others

    def item(self, key: str, file: File) -> SourceItem:
        def read() -> bytes:
            self.reads.append(key)
            if isinstance(file.data, Exception):
                raise file.data
            return file.data

        return SourceItem(key, self.name, file.stamp_now, read, lambda _: file.facts, file.fit, file.held_bytes)


def pictures(count: int, first: int = 0) -> dict[str, bytes]:
    """As many different ones."""
    return {f"{number:04}.png": png(colour(number), side=2) for number in range(first, first + count)}


BROKEN = b"no image"
UNREADABLE = File(UnusableFile("cannot be read (Permission denied)"))
