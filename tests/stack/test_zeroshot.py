"""Classification of the whole collection: three strategies that agree, label sets, saved results."""

import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.database.schema import PREDICTION_PROPERTIES
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query import Classification, ImageSearch
from clip_vectorizer.query.hits import StoredImage
from clip_vectorizer.query.labels.label_sets import LabelSet, WeaviateLabelSets
from clip_vectorizer.query.prompts import select_prompt_set
from ingest.choices import Keep
from tests.stack.conftest import New, Run
from tests.stack.drawings import DRAWINGS
from tests.stack.storing import GREEN, RED, Place
from tests.stack.support import EXAMPLES, Stack

pytestmark = pytest.mark.stack

THINGS = [english for english, _ in DRAWINGS.values()]
CHINESE = [chinese for _, chinese in DRAWINGS.values()]
# Names that differ, with descriptions that do not, or only by a full stop: vectors that are equal or nearly so.
TWINS = [f"{thing}{mark}" for thing in THINGS[:8] for mark in ("", f" A: {thing}", f" B: {thing} .", f" C: {thing}")]
SETS = {"things": THINGS, "both languages": THINGS + CHINESE, "two": ["animal", "food"], "twins": TWINS}


@pytest.mark.parametrize("name", SETS)
def test_all_strategies_give_every_image_the_same_labels(search: ImageSearch, name: str) -> None:
    by_strategy = {
        strategy: list(search.classify(None, SETS[name], strategy=strategy))
        for strategy in ("images", "labels", "matmul", "auto")
    }
    first = by_strategy.pop("matmul")
    assert len(first) == len(list(EXAMPLES.rglob("*.png")))
    for results in by_strategy.values():
        assert [summarize(each) for each in results] == [summarize(each) for each in first]
        np.testing.assert_allclose([each.score for each in results], [each.score for each in first], atol=2e-3)


def summarize(result: Classification) -> tuple[str, str, str, str]:
    return result.path, result.label, result.runner_up, result.error


def test_the_twins_are_as_close_as_intended(search: ImageSearch) -> None:
    margins = [each.margin for each in search.classify(None, SETS["twins"])]
    assert sum(margin < 1e-4 for margin in margins) > 100  # so float32 alone could not have decided


@pytest.mark.parametrize("quantizer", ["rq-8", "rq-1"])
def test_quantised_images_get_the_same_labels(new: New, quantizer: str) -> None:
    place = new(quantizer=quantizer, embed_here=True)
    place.ingest({file.name: file.read_bytes() for file in sorted(EXAMPLES.rglob("*.png"))[::4]})
    with searching(place) as search:
        by_labels, by_matmul = (
            [summarize(each) for each in search.classify(None, THINGS, strategy=strategy)]
            for strategy in ("labels", "matmul")
        )
    assert by_labels == by_matmul


@contextmanager
def searching(place: Place) -> Iterator[ImageSearch]:
    stack = place.stack
    with ImageSearch.connect(
        stack.weaviate_url,
        grpc_port=stack.grpc_port,
        api_key=stack.api_key,
        vectorizer_url=stack.vectorizer_url,
        collection=place.collection,
        tenant=place.tenant,
    ) as search:
        yield search


def test_a_filter_and_a_limit_select_images(search: ImageSearch) -> None:
    birds = {file.name for file in (EXAMPLES / "birds").iterdir() if file.suffix == ".png"}
    found = list(search.classify(None, THINGS, filters="label=birds"))
    assert {each.path for each in found} == {f"birds/{name}" for name in birds}
    assert list(search.classify(None, THINGS, filters="label=birds", limit=3)) == found[:3]


def test_hits_are_classified_in_their_order(search: ImageSearch) -> None:
    hits = search.find("a bird", limit=7)
    results = list(search.classify(hits, THINGS))
    assert [each.path for each in results] == [hit.path for hit in hits]
    everything = {each.path: each.label for each in search.classify(None, THINGS)}
    assert [each.label for each in results] == [everything[hit.path] for hit in hits]


def test_a_named_set_is_created_used_and_extended(search: ImageSearch) -> None:
    name = f"set {uuid.uuid4().hex[:8]}"
    hits = search.find("owl", limit=2)
    created = list(search.classify(hits, ["owl: an owl / a night bird", "rose"], prompts="word", label_set=name))
    assert list(search.classify(hits, label_set=name)) == created
    grown = list(search.classify(hits, ["tractor", "rose"], label_set=name))
    assert search.label_set(name) == ["owl: an owl / a night bird", "rose", "tractor"]
    assert all(after.score < before.score for before, after in zip(created, grown, strict=True))
    with pytest.raises(InputError, match=f"did you mean {name}"):
        search.classify(hits, label_set=name.replace("set", "sett"))
    with pytest.raises(InputError, match="has the prompts word, not photo"):
        search.classify(hits, ["cat"], prompts="photo", label_set=name)
    with pytest.raises(InputError, match="has 'owl: an owl / a night bird' already"):
        search.classify(hits, ["owl"], label_set=name)


def test_two_processes_can_add_to_a_set_at_once(search: ImageSearch) -> None:
    list(search.classify([], ["eagle", "parrot"], label_set="shared"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: search.classify([], [name], label_set="shared"), ["owl", "duck", "swan", "goose"]))
    assert sorted(search.label_set("shared")) == ["duck", "eagle", "goose", "owl", "parrot", "swan"]


def test_a_set_of_another_model_raises_with_the_next_step(stack: Stack, search: ImageSearch) -> None:
    with connect_weaviate(stack.weaviate_url, stack.grpc_port, stack.api_key) as client:
        WeaviateLabelSets(client, stack.weaviate_url).put(
            LabelSet("foreign", "ViT-B-32::openai", "0123456789abcdef", select_prompt_set("photo"), ("cat", "dog"))
        )
    with pytest.raises(Mismatch, match=r"foreign was made with the model ViT-B-32::openai .* runs emoji .*foreign2"):
        search.classify(None, label_set="foreign")


def test_a_run_that_is_killed_before_the_set_is_written_leaves_no_set(stack: Stack, search: ImageSearch) -> None:
    name = f"set {uuid.uuid4().hex[:8]}"
    address = {"grpc_port": stack.grpc_port, "api_key": stack.api_key, "vectorizer_url": stack.vectorizer_url}
    killed = f"""
import os, sys
from clip_vectorizer.query import ImageSearch
from clip_vectorizer.query.labels.label_sets import WeaviateLabelSets
WeaviateLabelSets.put = lambda *_: os._exit(9)
with ImageSearch.connect({stack.weaviate_url!r}, **{address!r}, collection=None) as search:
    search.classify([], ["{name} one", "{name} two"], label_set={name!r})
"""
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == 9
    with pytest.raises(InputError, match="no label set is called"):
        search.classify([], label_set=name)
    assert list(search.classify([], [f"{name} one", f"{name} two"], label_set=name)) == []  # and again, to the end
    assert search.label_set(name) == [f"{name} one", f"{name} two"]


@pytest.mark.parametrize("tenant", [None, "acme"])
@pytest.mark.parametrize("keep", [Keep.FULL, Keep.NONE])
def test_results_are_saved_once_and_nothing_else_changes(new: New, keep: Keep, tenant: str | None) -> None:
    place = new(keep=keep, tenant=tenant, embed_here=keep is Keep.NONE)
    place.ingest({"red.png": RED, "green.png": GREEN})
    with searching(place) as search:
        before = everything(search)
        results = list(search.classify(None, ["apple", "leaf"], save=True))
        saved = everything(search, PREDICTION_PROPERTIES)
        again = list(search.classify(None, ["apple", "leaf"], save=True))
    assert again == results
    for result in results:
        stored, old = saved[result.path], before[result.path]
        assert stored.properties["predicted_label"] == result.label
        assert stored.properties["predicted_score"] == pytest.approx(result.score)
        assert stored.properties["predicted_margin"] == pytest.approx(result.margin)
        assert stored.properties["predicted_runner_up"] == result.runner_up
        assert stored.properties["predicted_by"] == saved[results[0].path].properties["predicted_by"]
        assert (
            stored.vector is not None
            and np.array_equal(stored.vector, old.vector)
            and stored.thumbnail == old.thumbnail
        )


def everything(search: ImageSearch, properties: Sequence[str] = ()) -> dict[str, StoredImage]:
    return {
        each.path: each
        for each in search.iterate(return_properties=properties, include_vector=True, include_thumbnail=True)
    }


def test_saved_results_can_be_filtered(new: New) -> None:
    place = new(embed_here=True)
    place.ingest({"red.png": RED, "green.png": GREEN})
    with searching(place) as search:
        labels = {each.path: each.label for each in search.classify(None, ["apple", "leaf"], save=True)}
    with searching(place) as search:
        for path, label in labels.items():
            assert path in {each.path for each in search.iterate(filters=f"predicted_label={label}")}


def test_the_command_prints_the_same_keys_for_every_image_and_saves(run: Run, new: New) -> None:
    place = new(embed_here=True)
    place.ingest({"red.png": RED, "green.png": GREEN})
    words = ("clip-classify", "--collection", place.collection, "--labels", "apple,leaf", "--save", "--json")
    rows = run(*words).rows
    keys = ["path", "label", "score", "margin", "runner_up", "similarity", "id"]
    assert [list(row) for row in rows] == [keys, keys]
    with searching(place) as search:
        assert len(list(search.iterate(filters="predicted_by?"))) == 2


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"prompts": "foto"}, r"did you mean photo\?"),
        ({"strategy": "matmull"}, r"did you mean matmul\?"),
        ({"filters": "labell=x"}, r"did you mean label\?"),
        ({"filters": "label=bird"}, r"no image has the label 'bird'; did you mean birds\?"),
        ({"labels": None, "label_set": "nowhere"}, "no label set is called 'nowhere'"),
        ({"labels": ["a"]}, "one label given"),
        ({"labels": ["a", "A"]}, "given twice"),
        ({"templates": ["a photo"]}, "where the label goes"),
    ],
)
def test_invalid_arguments_raise_at_once(search: ImageSearch, wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        search.classify(None, **{"labels": ["a", "b"], **wrong})
