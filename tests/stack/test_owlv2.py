"""`--regions owlv2:PATH` on the real stack: OWLv2 is the model of the collection, and its regions have its vectors.

K regions of an image · D dimensions
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from ingest.embedded import LocalSidecar
from tests.models.grounding.small_grounders import save_owlv2
from tests.stack.acceptance.in_process import Command, ran
from tests.stack.faults.database import rows, vector
from tests.stack.support import Stack, base64_of, http

pytestmark = pytest.mark.stack

LIMIT = 4  # regions an image
SIZES = {"wide.png": (96, 32), "tall.png": (32, 64), "square.png": (48, 48)}
TEXT = "a red apple"


@dataclass(frozen=True)
class OwlCollection:
    """A collection that was moved to OWLv2: Weaviate's own sidecar has another model."""

    name: str
    folder: Path
    run: Command  # a command beside the sidecar with OWLv2
    url: str  # of that sidecar
    ingested: dict[str, Any]  # the summary of the run that made the regions

    def send(self, path: str, **body: object) -> Any:
        answer = http("POST", self.url + path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def owls(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwlCollection]:
    folder, model = tmp_path_factory.mktemp("images"), tmp_path_factory.mktemp("owl")
    for name, size in SIZES.items():
        Image.fromarray(np.random.default_rng(3).integers(0, 256, (*size[::-1], 3), np.uint8)).save(folder / name)
    collection, method = f"Test{uuid4().hex[:12]}", f"owlv2:{save_owlv2(model)}"
    ingest = ("clip-ingest", folder, "--collection", collection)
    ran(stack.env, *ingest)
    with LocalSidecar(method) as sidecar:
        run = partial(ran, stack.env | {"VECTORIZER_URL": sidecar.url})
        run(*ingest, "--reindex", "--inference-url", sidecar.url)
        made = run(*ingest, "--regions", method, "--region-limit", LIMIT, "--json")
        yield OwlCollection(collection, folder, run, sidecar.url, json.loads(made.stdout))
    for name in (collection, f"{collection}Region"):
        stack.weaviate("DELETE", f"/v1/schema/{name}").raise_for_status()


def test_regions_are_those_of_the_sidecar_with_its_vectors(stack: Stack, owls: OwlCollection) -> None:
    assert (owls.ingested["updated"], owls.ingested["failed"]) == (3, 0)
    stored = rows(stack, f"{owls.name}Region")
    assert len(stored) == owls.ingested["regions"] > 0
    assert {each["properties"]["method"] for each in stored} == {"owlv2"}
    for name in SIZES:
        picture = base64_of((owls.folder / name).read_bytes())
        [found] = owls.send("/regions", images=[picture], limit=LIMIT, vectors=True)["regions"]
        own = [each for each in stored if each["properties"]["path"] == name]
        own.sort(key=lambda each: int(each["properties"]["rank"]))
        boxes_k4 = [[each["properties"][corner] for corner in ("x0", "y0", "x1", "y1")] for each in own]
        np.testing.assert_allclose(boxes_k4, found["boxes"], atol=1e-6)
        vectors_kd = np.array([vector(each, vector_name(each)) for each in own])
        np.testing.assert_allclose(vectors_kd, found["vectors"], atol=1e-6)
        crop = owls.send("/vectorize", images=[picture])["imageVectors"][0]
        assert np.abs(vectors_kd - crop).max() > 0.01  # a region has a vector of its own, not that of its picture


def test_a_search_finds_the_regions_by_a_text(stack: Stack, owls: OwlCollection) -> None:
    search = ("clip-search", TEXT, "--collection", owls.name, "--regions")
    hits = owls.run(*search, "--json").rows
    [text_d] = owls.send("/vectorize", texts=[TEXT])["textVectors"]
    assert {hit["path"] for hit in hits} == SIZES.keys()
    for hit in hits:
        own = [each for each in rows(stack, f"{owls.name}Region") if each["properties"]["path"] == hit["path"]]
        cosines = [float(np.dot(vector(each, vector_name(each)), text_d)) for each in own]
        assert hit["regions"][0]["method"] == "owlv2"
        assert hit["regions"][0]["similarity"] == pytest.approx(max(cosines), abs=1e-5)
        assert hit["similarity"] == pytest.approx(max(hit["whole"], *cosines), abs=1e-5)
    assert " at " in owls.run(*search).stdout.splitlines()[1]


def vector_name(row: dict[str, Any]) -> str:
    """A collection that was moved has another named vector than `clip`."""
    [name] = row["vectors"]
    return str(name)
