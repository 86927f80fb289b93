"""Vectors of an image-only model beside those of the collection's own: both are searched, each by its sidecar."""

import json
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query import ImageSearch, Query
from ingest.choices import Keep
from ingest.embedded import LocalSidecar
from ingest.reindex.reindex import ImageSources, reindex
from ingest.report import IngestReport
from tests.documents import page
from tests.stack.acceptance.in_process import Command, ran
from tests.stack.conftest import New
from tests.stack.images import png
from tests.stack.storing import Pictures, Place, many
from tests.stack.support import EXAMPLES, Stack
from tests.training.simclr.drawn import draw_page, save_pdf

pytestmark = pytest.mark.stack
FRUIT = sorted((EXAMPLES / "fruit").glob("*.png"))
COMMANDS = page("docs/drawings.md").section("SimCLR").commands()
LEMON = "lemon.png"
SERVED_URL = "http://localhost:9191"


@pytest.fixture(scope="module")
def run(stack: Stack) -> Command:
    """Runs a command inside the test process: a start takes seconds."""
    return partial(ran, stack.env)


@pytest.fixture(scope="module")
def pages_url(run: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sidecar with a ResNet-18 of random weights: its neighbours are not those of a CLIP."""
    output = tmp_path_factory.mktemp("model") / "pages"
    name = run("clip-vectorizer", "train", "simclr", EXAMPLES, "--steps", "0", "--seed", "3", "--output", output).stdout
    with LocalSidecar(name.strip()) as sidecar:
        yield sidecar.url


@pytest.fixture(scope="module")
def lemons(run: Command, collection: str) -> list[str]:
    """Some drawings, ingested; the paths of a search by words."""
    run("clip-ingest", EXAMPLES / "fruit", "--collection", collection)
    return [hit["path"] for hit in find(run, collection, "a yellow lemon")]


@pytest.fixture(scope="module")
def fruit(run: Command, collection: str, lemons: list[str], pages_url: str) -> str:
    """The collection of these drawings, with vectors of both models."""
    words = ("--reindex", "--beside", "--vectorizer-url", pages_url, "--collection", collection, "--json")
    added = json.loads(run("clip-ingest", EXAMPLES / "fruit", *words).stdout)
    assert (added["updated"], added["failed"]) == (len(lemons), 0)
    return collection


def find(run: Command, fruit: str, *words: str | Path) -> list[dict[str, Any]]:
    lines = run("clip-search", *words, "--collection", fruit, "--json", "--limit", "30").stdout.splitlines()
    return [json.loads(line) for line in lines]


def test_like_searches_the_vectors_of_the_sidecars_model(run: Command, fruit: str, pages_url: str) -> None:
    first = find(run, fruit, "--like", LEMON)
    second = find(run, fruit, "--like", LEMON, "--vectorizer-url", pages_url)
    assert {hit["path"] for hit in first} == {hit["path"] for hit in second} == {file.name for file in FRUIT} - {LEMON}
    with VectorizerClient(pages_url) as sidecar:
        rows = sidecar.embed_images([file.read_bytes() for file in FRUIT])
    names = [file.name for file in FRUIT]
    expected = dict(zip(names, (rows @ rows[names.index(LEMON)]).tolist(), strict=True))
    for hit in second:
        assert hit["similarity"] == pytest.approx(expected[hit["path"]], abs=1e-3)
    assert [hit["path"] for hit in first] != [hit["path"] for hit in second]


def test_a_file_is_searched_by_the_second_model_and_found_first(run: Command, fruit: str, pages_url: str) -> None:
    assert find(run, fruit, "--image", FRUIT[0], "--vectorizer-url", pages_url)[0]["path"] == FRUIT[0].name


def test_words_and_labels_stay_with_the_first_model(
    run: Command, fruit: str, lemons: list[str], pages_url: str
) -> None:
    assert [hit["path"] for hit in find(run, fruit, "a yellow lemon")] == lemons
    labels = ("--labels", "lemon,grapes", "--collection", fruit, "--json")
    sorted_by_first = run("clip-classify", *labels).stdout.splitlines()
    assert {json.loads(line)["path"] for line in sorted_by_first} == {file.name for file in FRUIT}
    refused = run("clip-search", "a yellow lemon", "--collection", fruit, "--vectorizer-url", pages_url, expect=2)
    assert "'a yellow lemon' cannot be searched with local-dir:" in refused.stderr and "--like PATH" in refused.stderr
    without_texts = run("clip-classify", *labels, "--vectorizer-url", pages_url, expect=2)
    assert "labels are texts, and local-dir:" in without_texts.stderr and "--vectorizer-url" in without_texts.stderr


def test_changes_keep_both_vectors_and_what_is_new_gets_the_second_later(
    run: Command, fruit: str, pages_url: str, tmp_path: Path
) -> None:
    for file in FRUIT:
        (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / file.with_suffix(".txt").name).write_text(f"another caption of {file.stem}")
    (tmp_path / "new.png").write_bytes(png((9, 9, 200)))
    ingest = ("clip-ingest", tmp_path, "--collection", fruit, "--take-over", "--json")
    changed = json.loads(run(*ingest).stdout)
    assert (changed["added"], changed["failed"]) == (1, 0)
    second = find(run, fruit, "--like", LEMON, "--vectorizer-url", pages_url)
    assert len(second) == len(FRUIT) - 1  # without the new one
    words = ("--reindex", "--beside", "--vectorizer-url", pages_url, "--collection", fruit, "--json")
    again = json.loads(run("clip-ingest", tmp_path, *words).stdout)
    assert (again["updated"], again["unchanged"], again["failed"]) == (1, len(FRUIT), 0)
    assert "new.png" in {hit["path"] for hit in find(run, fruit, "--like", LEMON, "--vectorizer-url", pages_url)}


@pytest.mark.parametrize(("keep", "tenant"), [(Keep.THUMBNAIL, None), (Keep.HASH, "bob")])
def test_a_later_run_adds_what_is_missing_and_no_ingest_is_held_up(
    new: New, pages_url: str, keep: Keep, tenant: str | None
) -> None:
    place: Place = new(keep=keep, tenant=tenant)
    files = many(5)
    place.ingest(files)
    counted = add_beside(place, pages_url, files, dry_run=True)
    assert (counted.updated, counted.failed) == (5, 0)
    with pytest.raises(Mismatch, match="give it vectors of both"):
        connect(place, pages_url)
    assert add_beside(place, place.stack.vectorizer_url, files).updated == 0  # these are its own
    assert add_beside(place, pages_url, files).updated == 5
    more = files | {"new.png": png((9, 9, 200)), "p003.png": png((200, 9, 200))}
    ingested = place.ingest(more)
    assert (ingested.added, ingested.updated, ingested.failed) == (1, 1, 0)
    again = add_beside(place, pages_url, more)
    assert (again.updated, again.unchanged, again.failed) == (2, 4, 0)
    with connect(place, pages_url) as search:
        hits = search.find(Query.stored("p003.png", include_self=True), include_vector=True)
        vectors = {hit.path: hit.vector for hit in hits}
        assert set(vectors) == set(more)
        with VectorizerClient(pages_url) as sidecar:
            np.testing.assert_allclose(vectors["p003.png"], sidecar.embed_images([more["p003.png"]])[0], atol=1e-5)


def test_a_part_of_a_collection_may_have_vectors_of_a_second_model(new: New, pages_url: str) -> None:
    """What is in no source named is left out; where that is everything, the source was the wrong one."""
    place: Place = new()
    place.ingest(many(5))
    part = {"p001.png": many(5)["p001.png"], "p002.png": many(5)["p002.png"]}
    wrong = add_beside(place, pages_url, {"other.png": png((1, 2, 3))})
    assert (wrong.seen, wrong.failed) == (5, 5) and "none of the sources" in wrong.failures[0].reason
    events: list[object] = []
    added = add_beside(place, pages_url, part, events=events)
    assert (added.seen, added.updated, added.failed, added.exit_code) == (2, 2, 0, 0)
    assert next(str(each) for each in events if isinstance(each, InputError)).startswith(
        "3 of 5 images have no vector of"
    )
    with connect(place, pages_url) as search:
        assert {hit.path for hit in search.find(Query.stored("p001.png", include_self=True))} == set(part)


def test_the_lines_of_the_page_work_one_after_another(
    run: Command, new: New, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pages of `scans.pdf` are found by both models."""
    collection = new().collection
    (tmp_path / "corpus" / "train").mkdir(parents=True)
    save_pdf(tmp_path / "corpus" / "train" / "a.pdf", [draw_page(seed) for seed in range(4)])
    save_pdf(tmp_path / "scans.pdf", [draw_page(seed) for seed in range(50, 53)])
    monkeypatch.chdir(tmp_path)
    pages = {f"scans.pdf#page={number}" for number in (1, 2, 3)}
    with ExitStack() as stack:
        url, found = "", []
        for line in COMMANDS:
            command, *words = shlex.split(line.replace(SERVED_URL, url))
            if "serve" in words:
                url = stack.enter_context(LocalSidecar(words[words.index("--model") + 1])).url
            elif command == "clip-vectorizer":
                run(command, *words)
            else:
                done = run(command, *words, "--collection", collection, "--json")
                found += [{hit["path"] for hit in done.rows}] if command == "clip-search" else []
    assert found == [pages - {"scans.pdf#page=2"}] * 2


def add_beside(
    place: Place, url: str, files: dict[str, bytes], dry_run: bool = False, events: list[object] | None = None
) -> IngestReport:
    """`events`: what happens is added to them."""

    def note(_: IngestReport, event: object) -> None:
        if events is not None:
            events.append(event)

    with VectorizerClient(url) as sidecar:
        sources = ImageSources([Pictures(files)], place.tenant)
        connection = place.stack.connection
        return reindex(connection, sidecar, sources, place.collection, on_progress=note, dry_run=dry_run, beside=True)


def connect(place: Place, vectorizer_url: str) -> ImageSearch:
    stack = place.stack
    return ImageSearch.connect(
        stack.weaviate_url,
        grpc_port=stack.grpc_port,
        api_key=stack.api_key,
        vectorizer_url=vectorizer_url,
        collection=place.collection,
        tenant=place.tenant,
    )
