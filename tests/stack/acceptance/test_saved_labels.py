"""Predictions are saved with the images on request, and searches can filter by them."""

from pathlib import Path
from typing import Any

import pytest

from clip_vectorizer.query import ImageSearch
from tests.stack.acceptance.in_process import connection, ran
from tests.stack.conftest import fresh_collection
from tests.stack.support import EXAMPLES, Stack

pytestmark = pytest.mark.stack

GUITAR = EXAMPLES / "musical instruments" / "guitar.png"


def test_predictions_are_saved_on_request_only(stack: Stack, gallery_folder: Path) -> None:
    for name in fresh_collection(stack):
        there = ("--collection", name, "--json")
        ran(stack.env, "clip-ingest", gallery_folder, *there)
        kept = vectors(stack, name)
        words = ("clip-classify", "--labels", "castle,panda,guitar", "--label-set", f"set-{name}", *there)
        predicted = {row["path"]: row for row in ran(stack.env, *words).rows}
        assert all("predicted_label" not in row for row in properties(stack, name).values())
        ran(stack.env, *words, "--save")
        for path, row in properties(stack, name).items():
            assert row["predicted_label"] == predicted[path]["label"]
            assert row["predicted_runner_up"] == predicted[path]["runner_up"]
            assert row["predicted_score"] == pytest.approx(predicted[path]["score"], abs=1e-5)
            assert row["predicted_margin"] == pytest.approx(predicted[path]["margin"], abs=1e-5)
            assert row["predicted_by"] and row["label"] == path.partition("/")[0]
        search = ("clip-search", "a thing", "--where", "predicted_label=panda", "--limit", 100, *there)
        found = {row["path"] for row in ran(stack.env, *search).rows}
        assert found == {path for path, row in predicted.items() if row["label"] == "panda"} and found
        assert vectors(stack, name) == kept, "a saved label does not change the vector"


def properties(stack: Stack, name: str) -> dict[str, dict[str, Any]]:
    found = stack.weaviate("GET", f"/v1/objects?class={name}&limit=100").json()["objects"]
    return {one["properties"]["path"]: one["properties"] for one in found}


def vectors(stack: Stack, name: str) -> dict[str, list[float]]:
    found = stack.weaviate("GET", f"/v1/objects?class={name}&limit=100&include=vector").json()["objects"]
    return {one["properties"]["path"]: one["vectors"]["clip"] for one in found}


def test_saved_labels_can_be_searched_at_once(stack: Stack, gallery_folder: Path) -> None:
    for name in fresh_collection(stack):
        ran(stack.env, "clip-ingest", gallery_folder, "--collection", name)
        with ImageSearch.connect(**connection(stack), collection=name) as images:
            predicted = list(images.classify(None, ["guitar", "panda"], save=True))
            found = images.find("x", limit=100, filters="predicted_label=panda")
            assert {hit.path for hit in found} == {one.path for one in predicted if one.label == "panda"}


def test_in_a_tenant_a_label_is_saved_and_the_vector_stays(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "guitar.png").write_bytes(GUITAR.read_bytes())
    for name in fresh_collection(stack):
        there = ("--collection", name, "--tenant", "ann", "--json")
        ran(stack.env, "clip-ingest", tmp_path, *there)
        ran(stack.env, "clip-classify", "--labels", "guitar,panda", "--save", *there)
        with ImageSearch.connect(**connection(stack), collection=name, tenant="ann") as images:
            [hit] = images.find("x", include_vector=True, return_properties=["predicted_label"])
            assert dict(hit.properties) == {"predicted_label": "guitar"}
            assert images.by_vector(hit.vector)[0].similarity == pytest.approx(1, abs=1e-6)
