"""What was decided is written to the images on demand, and searches can filter by it."""

from pathlib import Path
from typing import Any

import pytest

from clip_vectorizer.query import ImageSearch
from tests.stack.acceptance.in_process import connection, ran
from tests.stack.conftest import fresh_collection
from tests.stack.support import EXAMPLES, Stack

pytestmark = pytest.mark.stack

GUITAR = EXAMPLES / "musical instruments" / "guitar.png"


def test_what_was_decided_is_written_to_the_images_on_demand_only(stack: Stack, gallery_folder: Path) -> None:
    for name in fresh_collection(stack):
        there = ("--collection", name, "--json")
        ran(stack.env, "clip-ingest", gallery_folder, *there)
        kept = vectors(stack, name)
        words = ("clip-classify", "--labels", "castle,panda,guitar", "--label-set", f"set-{name}", *there)
        told = {row["path"]: row for row in ran(stack.env, *words).rows}
        assert all("predicted_label" not in row for row in properties(stack, name).values())
        ran(stack.env, *words, "--write")
        for path, row in properties(stack, name).items():
            assert row["predicted_label"] == told[path]["label"]
            assert row["predicted_runner_up"] == told[path]["runner_up"]
            assert row["predicted_score"] == pytest.approx(told[path]["score"], abs=1e-5)
            assert row["predicted_margin"] == pytest.approx(told[path]["margin"], abs=1e-5)
            assert row["predicted_by"] and row["label"] == path.partition("/")[0]
        search = ("clip-search", "a thing", "--where", "predicted_label=panda", "--limit", 100, *there)
        found = {row["path"] for row in ran(stack.env, *search).rows}
        assert found == {path for path, row in told.items() if row["label"] == "panda"} and found
        assert vectors(stack, name) == kept, "a label written to an image leaves its vector alone"


def properties(stack: Stack, name: str) -> dict[str, dict[str, Any]]:
    found = stack.weaviate("GET", f"/v1/objects?class={name}&limit=100").json()["objects"]
    return {one["properties"]["path"]: one["properties"] for one in found}


def vectors(stack: Stack, name: str) -> dict[str, list[float]]:
    found = stack.weaviate("GET", f"/v1/objects?class={name}&limit=100&include=vector").json()["objects"]
    return {one["properties"]["path"]: one["vectors"]["clip"] for one in found}


def test_who_has_written_labels_can_search_by_them_at_once(stack: Stack, gallery_folder: Path) -> None:
    for name in fresh_collection(stack):
        ran(stack.env, "clip-ingest", gallery_folder, "--collection", name)
        with ImageSearch.connect(**connection(stack), collection=name) as images:
            told = list(images.classify(None, ["guitar", "panda"], write=True))
            found = images.find("x", limit=100, where="predicted_label=panda")
            assert {hit.path for hit in found} == {one.path for one in told if one.label == "panda"}


def test_in_a_tenant_a_label_is_written_and_the_vector_stays(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "guitar.png").write_bytes(GUITAR.read_bytes())
    for name in fresh_collection(stack):
        there = ("--collection", name, "--tenant", "ann", "--json")
        ran(stack.env, "clip-ingest", tmp_path, *there)
        ran(stack.env, "clip-classify", "--labels", "guitar,panda", "--write", *there)
        with ImageSearch.connect(**connection(stack), collection=name, tenant="ann") as images:
            [hit] = images.find("x", vectors=True, properties=["predicted_label"])
            assert dict(hit.properties) == {"predicted_label": "guitar"}
            assert images.by_vector(hit.vector)[0].similarity == pytest.approx(1, abs=1e-6)
