"""`--reindex` between two real models, with a real kill in the middle of it."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.errors import Mismatch
from clip_vectorizer.query import ImageSearch
from ingest.choices import Keep
from ingest.reindex.reindex import ImageSources, reindex
from ingest.report import IngestReport
from ingest.store.weaviate import PATCH_THREADS
from tests.stack.conftest import New
from tests.stack.images import png
from tests.stack.other_model import DIMENSION, other_model
from tests.stack.processes import eventually
from tests.stack.storing import Pictures, Place, many, picture, same, vector_of
from tests.stack.support import REPOSITORY, Stack

pytestmark = pytest.mark.stack
FILES = many(60)
WAYS = [(Keep.FULL, False, None), (Keep.THUMBNAIL, False, None), (Keep.HASH, False, "bob"), (Keep.NONE, True, None)]


@pytest.fixture(scope="module")
def other(stack: Stack) -> Iterator[str]:
    with other_model(stack.vectorizer_url) as url:
        yield url


def move(
    place: Place, url: str, files: dict[str, bytes], inference_url: str | None = None, dry_run: bool = False
) -> IngestReport:
    images = ImageSources([Pictures(files)] if files else [], place.tenant)
    with VectorizerClient(url) as sidecar:
        return reindex(place.stack.connection, sidecar, images, place.collection, inference_url, dry_run=dry_run)


def search(place: Place) -> ImageSearch:
    stack = place.stack
    return ImageSearch.connect(
        stack.weaviate_url,
        grpc_port=stack.grpc_port,
        api_key=stack.api_key,
        vectorizer_url=stack.vectorizer_url,
        collection=place.collection,
        tenant=place.tenant,
    )


def assert_finds(place: Place, key: str, data: bytes, count: int) -> None:
    with search(place) as images:
        assert images.by_image(data, 1)[0].path == key
        assert len(images.by_text("red", 500)) == count


def schema_of(place: Place) -> Any:
    return place.stack.weaviate("GET", f"/v1/schema/{place.collection}").json()


def rows(place: Place) -> list[Any]:
    owner = f"&tenant={place.tenant}" if place.tenant else ""
    query = f"/v1/objects?class={place.collection}&limit=1000&include=vector{owner}"
    found: list[Any] = place.stack.weaviate("GET", query).json()["objects"]
    return found


@pytest.mark.parametrize(("keep", "here", "tenant"), WAYS)
def test_a_collection_moves_to_another_model_and_lives_on(
    new: New, other: str, keep: Keep, here: bool, tenant: str | None
) -> None:
    first = new(keep=keep, embed_here=here, tenant=tenant)
    second = first.with_vectorizer(other)
    first.ingest(FILES)
    moved = move(first, other, {} if keep is Keep.FULL else FILES, inference_url=other)
    assert (moved.seen, moved.updated, moved.failed) == (60, 60, 0)
    assert_finds(second, "p007.png", FILES["p007.png"], 60)
    with pytest.raises(Mismatch, match="made with the model other"):
        search(first)
    added = second.ingest(FILES | {"new.png": png((9, 9, 200)), "p003.png": png((200, 9, 200))})
    assert (added.added, added.updated, added.unchanged, added.failed) == (1, 1, 59, 0)
    assert_finds(second, "new.png", png((9, 9, 200)), 61)
    [row] = [row for row in rows(second) if row["properties"]["path"] == "p003.png"]
    [active] = [name for name in row["vectors"] if name != "clip"]
    assert same(row["vectors"][active], vector_of(second.stack, png((200, 9, 200))))
    assert len(row["vectors"][active]) == DIMENSION and row["properties"]["model"] == "other"


def test_nothing_is_switched_until_every_object_has_its_vector(new: New, other: str) -> None:
    place = new()
    place.ingest(FILES)
    half = dict(list(FILES.items())[:30])
    moved = move(place, other, half | {"p000.png": png((1, 1, 1))}, inference_url=other)
    assert (moved.seen, moved.updated, moved.failed, moved.exit_code) == (60, 29, 31, 3)
    reasons = {failure.key: failure.reason for failure in moved.failures}
    assert "changed since" in reasons["p000.png"] and "none of the sources" in reasons["p059.png"]
    assert_finds(place, "p059.png", FILES["p059.png"], 60)  # by the first model
    with pytest.raises(Mismatch, match="is being moved to the model other"):
        place.ingest(FILES)
    assert move(place, place.stack.vectorizer_url, FILES).exit_code == 0  # the first model cancels it
    assert place.ingest(FILES | {"new.png": png((9, 9, 200))}).added == 1


@pytest.mark.parametrize("keep", [Keep.FULL, Keep.HASH])
def test_a_dry_run_counts_and_writes_nothing(new: New, other: str, keep: Keep) -> None:
    place = new(keep=keep)
    place.ingest(FILES)
    before, schema = rows(place), schema_of(place)
    files = {} if keep is Keep.FULL else dict(list(FILES.items())[:30]) | {"p000.png": png((1, 1, 1))}
    counted = move(place, other, files, inference_url=other, dry_run=True)
    expected = (60, 60, 0, 0, 0) if keep is Keep.FULL else (60, 29, 0, 31, 3)
    assert (counted.seen, counted.updated, counted.unchanged, counted.failed, counted.exit_code) == expected
    assert (rows(place), schema_of(place)) == (before, schema)
    assert place.ingest(FILES).unchanged == 60  # the collection is not being moved


def test_a_dry_run_does_not_cancel_an_unfinished_move(new: New, other: str) -> None:
    place = new()
    place.ingest(FILES)
    move(place, other, dict(list(FILES.items())[:30]), inference_url=other)
    schema = schema_of(place)
    assert move(place, place.stack.vectorizer_url, FILES, dry_run=True).seen == 0
    counted = move(place, other, FILES, inference_url=other, dry_run=True)
    assert (counted.updated, counted.unchanged, counted.failed) == (30, 30, 0)
    assert schema_of(place) == schema


def test_an_open_ingest_writes_nothing_more_once_a_move_has_begun(new: New, other: str) -> None:
    place = new(embed_here=True)
    place.ingest(FILES)
    with place.open() as store:
        move(place, other, FILES, inference_url=other)
        with pytest.raises(Mismatch, match="is being moved to the model other"):
            store.put([picture("late.png", png((5, 5, 5)), vector_of(place.stack, png((5, 5, 5))))])


KILLED = """
import sys
from tests.stack.test_reindex import MANY, Place, move
from tests.stack.support import Stack
url, port, key, sidecar, collection, other = sys.argv[1:]
move(Place(Stack(url, int(port), key or None, sidecar), collection), other, MANY, inference_url=other)
"""
MANY = many(200)  # written in several parts


def test_a_killed_reindex_completes_when_it_is_run_again(new: New) -> None:
    place = new()
    place.ingest(MANY)
    stack = place.stack
    with other_model(stack.vectorizer_url, pause_seconds=0.2) as slow:
        address = (stack.weaviate_url, str(stack.grpc_port), stack.api_key or "", stack.vectorizer_url)
        command = [sys.executable, "-c", KILLED, *address, place.collection, slow]
        with subprocess.Popen(command, cwd=REPOSITORY) as process:
            assert eventually(lambda: done(place) > 0)
            process.kill()
        before = done(place)
        assert 0 < before < len(MANY)
        moved = move(place, slow, MANY, inference_url=slow)
        assert (moved.updated + moved.unchanged, moved.failed) == (len(MANY), 0)
        # What was being written just then may have come in after the count, or be stored and not in the index yet.
        assert abs(moved.unchanged - before) <= PATCH_THREADS
        assert_finds(place.with_vectorizer(slow), "p007.png", MANY["p007.png"], len(MANY))


def done(place: Place) -> int:
    return sum("reindexed" in row["properties"] for row in rows(place))
