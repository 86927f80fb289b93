"""One round over a collection in memory. The whole, with real servers, is in tests/stack/test_reindex.py."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np

from clip_vectorizer.database.schema import image_id
from clip_vectorizer.errors import WeaviateUnreachable
from clip_vectorizer.vectors import Vectors
from ingest.choices import Fit
from ingest.items import ItemOutcome, Status
from ingest.pipeline import IngestSettings
from ingest.reindex.collection import ObjectState
from ingest.reindex.reindex import FILE_CHANGED, FILE_UNVERIFIABLE, ReindexRound, iterate_pages
from ingest.retry import Patience
from ingest.store.base import Refusal
from tests.ingest.fakes import BLUE, GREEN, RED, FakeEmbedder, File, ListSource, mean_colour, png

PICTURES = {"red.png": png(RED), "green.png": png(GREEN), "blue.png": png(BLUE)}


@dataclass
class FakeTarget:
    """Has the methods of ReindexTarget, two objects a page. The first `away` requests raise WeaviateUnreachable."""

    objects: dict[str, ObjectState]
    kept: Mapping[str, bytes] = field(default_factory=dict)
    refuse: Mapping[str, Refusal] = field(default_factory=dict)
    away: int = 0
    vectors: dict[str, Vectors] = field(default_factory=dict)

    def page(self, after: UUID | None) -> list[ObjectState]:
        self._answer()
        found = sorted(self.objects.values(), key=lambda state: state.id)
        return [state for state in found if after is None or state.id > after][:2]

    def states(self, keys: Sequence[str]) -> dict[str, ObjectState]:
        self._answer()
        return {key: self.objects[key] for key in keys if key in self.objects}

    def images(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {key: self.kept[key] for key in keys if key in self.kept}

    def write(self, vectors: Mapping[str, Vectors]) -> dict[str, Refusal]:
        self._answer()
        refused = {key: self.refuse[key] for key in vectors if key in self.refuse}
        self.vectors |= {key: vector_d for key, vector_d in vectors.items() if key not in refused}
        return refused

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise WeaviateUnreachable("connection refused")


def state(key: str, data: bytes, **changes: Any) -> ObjectState:
    fields = {"sha256": hashlib.sha256(data).hexdigest(), "fit": Fit.CROP, "stamp": "12ab", "done": False}
    return ObjectState(UUID(image_id(key)), key, **fields | changes)


def part(**changes: Any) -> FakeTarget:
    return FakeTarget({key: state(key, data) for key, data in PICTURES.items()}, **changes)


def run(
    over: FakeTarget, *sources: ListSource, problems: dict[str, str] | None = None, dry_run: bool = False
) -> list[str]:
    """Return the keys that got their vector, in a dry run those that would get it."""
    target: Any = over
    settings = IngestSettings(workers=2, patience_seconds=5)
    embedder = None if dry_run else FakeEmbedder()
    once = ReindexRound(target, embedder, settings, {} if problems is None else problems)
    events = list(once.embed_sources(sources) if sources else once.embed_stored_images())
    return sorted(event.key for event in events if isinstance(event, ItemOutcome) and event.status is Status.UPDATED)


def test_images_that_the_database_stores_are_read_from_it() -> None:
    over = part(kept=PICTURES)
    assert run(over) == sorted(PICTURES)
    for key, vector_d in over.vectors.items():
        np.testing.assert_array_equal(vector_d, mean_colour(PICTURES[key]))


def test_other_images_are_read_from_their_sources() -> None:
    over, source = part(), ListSource(PICTURES | {"new.png": png()})
    assert run(over, source) == sorted(PICTURES)
    assert "new.png" not in source.reads  # an ingest would add it


def test_an_object_with_the_new_vector_is_not_read_again() -> None:
    over, source = part(kept=PICTURES), ListSource(PICTURES)
    over.objects["red.png"] = state("red.png", PICTURES["red.png"], done=True)
    assert run(over) == run(over, source) == ["blue.png", "green.png"]
    assert "red.png" not in source.reads


def test_a_changed_file_is_not_embedded() -> None:
    problems: dict[str, str] = {}
    over = part()
    assert run(over, ListSource(PICTURES | {"red.png": png(GREEN)}), problems=problems) == ["blue.png", "green.png"]
    assert problems == {"red.png": FILE_CHANGED}


def test_without_a_stored_hash_the_stamp_must_be_equal() -> None:
    problems: dict[str, str] = {}
    over = part()
    over.objects = {key: state(key, b"", sha256="") for key in PICTURES}
    files = {key: File(data, stamp="12ab" if key == "red.png" else "") for key, data in PICTURES.items()}
    assert run(over, ListSource(files), problems=problems) == ["red.png"]
    assert problems == {"green.png": FILE_UNVERIFIABLE, "blue.png": FILE_UNVERIFIABLE}


def test_an_image_is_padded_as_at_its_ingest() -> None:
    wide = png(RED, side=8)
    over = part()
    over.objects = {"page": state("page", wide, fit=Fit.PAD)}
    assert run(over, ListSource({"page": wide})) == ["page"]


def test_images_that_cannot_be_read_embedded_or_written_are_recorded_with_the_reason() -> None:
    problems: dict[str, str] = {}
    broken = b"not an image"
    over = part(refuse={"blue.png": Refusal("no room")})
    over.objects["broken.png"] = state("broken.png", broken)
    over.objects["gone.png"] = state("gone.png", broken)
    files = PICTURES | {"broken.png": broken, "gone.png": File(OSError("vanished"))}
    assert run(over, ListSource(files), problems=problems) == ["green.png", "red.png"]
    assert problems["blue.png"] == "no room" and "vanished" in problems["gone.png"]
    assert problems["broken.png"].startswith("a text file, not an image")


def test_a_request_is_repeated_while_the_database_is_unreachable() -> None:
    assert run(part(kept=PICTURES, away=1)) == sorted(PICTURES)


def test_a_dry_run_of_stored_images_counts_them_and_writes_nothing() -> None:
    over = part(kept=PICTURES)
    over.objects["red.png"] = state("red.png", PICTURES["red.png"], done=True)
    assert run(over, dry_run=True) == ["blue.png", "green.png"]
    assert over.vectors == {}


def test_a_dry_run_of_sources_reads_and_verifies_them_and_writes_nothing() -> None:
    problems: dict[str, str] = {}
    over, source = part(), ListSource(PICTURES | {"red.png": png(GREEN), "new.png": png()})
    assert run(over, source, problems=problems, dry_run=True) == ["blue.png", "green.png"]
    assert problems == {"red.png": FILE_CHANGED} and over.vectors == {} and "new.png" not in source.reads


def test_every_object_is_listed_once() -> None:
    over: Any = part()
    seen = [state.key for page in iterate_pages(over, Patience(1)) for state in page]
    assert sorted(seen) == sorted(PICTURES)
