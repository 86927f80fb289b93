"""Captions for the images of a collection, batch by batch: never over a given one, and none twice.

An image whose `caption_by` is that of this run is done, so a run that was killed continues where it ended.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from clip_vectorizer.query.captions.captioned import CaptionStore, CaptionSubject
from clip_vectorizer.query.captions.ways import CaptionFailure, CaptionOutcome, CaptionWay
from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.query.zeroshot.sources import map_ahead, split_ids


@dataclass(frozen=True, slots=True)
class Caption:
    """The caption of one image, or why it got none."""

    path: str
    id: str
    caption: str
    caption_by: str
    error: str = ""


Captions = Generator[Caption]


@dataclass(slots=True)
class CaptionCounts:
    """How many images were left out."""

    given: int = 0  # they have a caption of their own
    done: int = 0  # an earlier run wrote the same


@dataclass(frozen=True, slots=True)
class CaptionRun:
    """One run over a collection. Iterate over it once; `counts` grow meanwhile."""

    store: CaptionStore
    way: CaptionWay
    filters: FilterInput = None
    limit: int | None = None  # images to be captioned; those left out do not count
    redo: bool = False  # those that an earlier run did, too
    counts: CaptionCounts = field(default_factory=CaptionCounts)

    def __iter__(self) -> Captions:
        """Yield each caption after it is stored, or with an `error`."""
        self.store.prepare()
        with closing(map_ahead(self._write, self._batches())) as written:
            for images, outcomes in written:
                yield from self._save(images, outcomes)

    def _batches(self) -> Iterator[list[CaptionSubject]]:
        pending = islice(self._pending(), self.limit)
        while batch := list(islice(pending, self.way.batch)):
            yield batch

    def _pending(self) -> Iterator[CaptionSubject]:
        """The images that need a caption."""
        for page in self.store.list_ids(self.filters):
            for ids in split_ids(page):
                yield from filter(self._needs_caption, self.store.fetch(ids, self.filters))

    def _needs_caption(self, image: CaptionSubject) -> bool:
        done = image.by == self.way.by and bool(image.written) and not self.redo
        self.counts.given += bool(image.given)
        self.counts.done += done and not image.given
        return not image.given and not done

    def _write(self, images: list[CaptionSubject]) -> tuple[list[CaptionSubject], list[CaptionOutcome]]:
        return images, self.way.write(images, self.store)

    def _save(self, images: Sequence[CaptionSubject], outcomes: Sequence[CaptionOutcome]) -> Iterator[Caption]:
        pairs = list(zip(images, outcomes, strict=True))
        texts = {image.id: outcome for image, outcome in pairs if isinstance(outcome, str)}
        failures = self.store.write(texts, self.way.by)
        for image, outcome in pairs:
            yield build_caption(image, outcome, self.way.by, failures.get(image.id, ""))


def build_caption(image: CaptionSubject, outcome: CaptionOutcome, by: str, failure: str) -> Caption:
    if isinstance(outcome, CaptionFailure):
        return Caption(image.path, image.id, "", by, outcome.reason)
    return Caption(image.path, image.id, outcome, by, f"not written: {failure}" if failure else "")
