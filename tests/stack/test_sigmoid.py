"""A SigLIP behind the real sidecar: `clip-classify` gives open_clip's own probabilities, which are no shares."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.database.schema import LABEL_COLLECTION
from clip_vectorizer.query import Classification, ImageSearch, few_shot, linear_probe, remove_means
from clip_vectorizer.query.labels.label_store import choose_label_collection
from clip_vectorizer.query.zeroshot.scores import Boost
from ingest.embedded import LocalSidecar
from tests.models.small_siglip import SIDE, WORDS, random_siglip, reference_probabilities, save_siglip
from tests.stack.conftest import Run
from tests.stack.support import Stack

pytestmark = pytest.mark.stack

TOLERANCE = 1e-5
LABELS = list(WORDS[:5])
FOLDERS = {"apple": ("black", "blue", "cyan"), "pear": ("red", "white", "yellow")}  # each file is of one colour
DRAWN = [f"{folder}/{colour}.png" for folder, colours in FOLDERS.items() for colour in colours]
BARE = ("--labels", ",".join(LABELS), "--template", "{}", "--json")


@dataclass(frozen=True, slots=True)
class ServedSiglip:
    env: dict[str, str]  # of a client
    files: list[Path]
    probabilities_nl: Any  # by open_clip, in the order of the files

    def sorted_scores(self) -> Any:
        return -np.sort(-self.probabilities_nl, axis=1)


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSiglip]:
    folder, images = tmp_path_factory.mktemp("siglip"), tmp_path_factory.mktemp("images")
    save_siglip(random_siglip(), folder)
    for name in DRAWN:
        (images / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (SIDE, SIDE), Path(name).stem).save(images / name)
    files = [images / name for name in DRAWN]
    expected = reference_probabilities(folder, [Image.open(file).convert("RGB") for file in files], LABELS)
    with LocalSidecar(f"local-dir:{folder}") as sidecar:
        yield ServedSiglip({"VECTORIZER_URL": sidecar.url}, files, expected)


@pytest.fixture(scope="module", autouse=True)
def own_labels(stack: Stack) -> None:
    """The first collection of labels is that of Weaviate's own model, as other tests expect."""
    with (
        VectorizerClient(stack.vectorizer_url) as own,
        connect_weaviate(stack.weaviate_url, stack.grpc_port, stack.api_key) as client,
    ):
        assert choose_label_collection(client, own.meta()) == LABEL_COLLECTION


@pytest.fixture(scope="module")
def stored(stack: Stack, run: Run, siglip: ServedSiglip) -> Iterator[str]:
    """A collection of the files, moved to the SigLIP: Weaviate's own sidecar has another model."""
    name, folder = f"Test{uuid4().hex[:12]}", siglip.files[0].parents[1]
    run("clip-ingest", folder, "--collection", name)
    moving = ("--reindex", "--inference-url", siglip.env["VECTORIZER_URL"])
    run("clip-ingest", folder, "--collection", name, *moving, env=siglip.env)
    yield name
    stack.weaviate("DELETE", f"/v1/schema/{name}").raise_for_status()


@pytest.fixture(scope="module")
def search(stack: Stack, siglip: ServedSiglip, stored: str) -> Iterator[ImageSearch]:
    with ImageSearch.connect(
        weaviate_url=stack.weaviate_url,
        grpc_port=stack.grpc_port,
        api_key=stack.api_key,
        vectorizer_url=siglip.env["VECTORIZER_URL"],
        collection=stored,
    ) as connected:
        yield connected


def assert_open_clips(rows: Sequence[Mapping[str, Any]], siglip: ServedSiglip) -> None:
    """`rows`: in the order of the files."""
    order, scores = np.argsort(-siglip.probabilities_nl, axis=1), siglip.sorted_scores()
    assert [row["label"] for row in rows] == [LABELS[first] for first in order[:, 0]]
    assert [row["runner_up"] for row in rows] == [LABELS[second] for second in order[:, 1]]
    np.testing.assert_allclose([row["score"] for row in rows], scores[:, 0], atol=TOLERANCE)
    np.testing.assert_allclose([row["margin"] for row in rows], scores[:, 0] - scores[:, 1], atol=TOLERANCE)
    np.testing.assert_array_equal([row["similarity"] for row in rows], [row["score"] for row in rows])


def sort_rows(results: Iterable[Classification]) -> list[dict[str, Any]]:
    """Classifications as rows, in the order of the files."""
    return sorted((asdict(each) for each in results), key=lambda row: str(row["path"]))


def test_the_reference_is_no_softmax(siglip: ServedSiglip) -> None:
    totals = siglip.probabilities_nl.sum(axis=1)
    assert totals.max() > 1.5 and totals.min() < 0.5


def test_meta_has_the_bias(siglip: ServedSiglip) -> None:
    meta = httpx.get(f"{siglip.env['VECTORIZER_URL']}/meta", trust_env=False).json()
    assert (meta["logit_bias"], meta["logit_scale"]) == (-2.0, pytest.approx(40))


def test_files_get_open_clips_probabilities(run: Run, siglip: ServedSiglip) -> None:
    assert_open_clips(run("clip-classify", *siglip.files, *BARE, env=siglip.env).rows, siglip)


@pytest.mark.parametrize("strategy", ["images", "labels", "matmul"])
def test_stored_images_get_open_clips_probabilities(search: ImageSearch, siglip: ServedSiglip, strategy: str) -> None:
    assert_open_clips(sort_rows(search.classify(None, LABELS, ["{}"], strategy=strategy)), siglip)


def test_other_is_below_the_named_probability(search: ImageSearch, siglip: ServedSiglip) -> None:
    best = siglip.sorted_scores()[:, 0]
    rows = sort_rows(search.classify(None, LABELS, ["{}"], threshold=0.5))
    assert [row["label"] == "other" for row in rows] == (best < 0.5).tolist()
    np.testing.assert_allclose([row["similarity"] for row in rows], best, atol=TOLERANCE)
    assert {row["score"] for row in rows if row["label"] == "other"} == {0.5}
    assert all(row["margin"] >= 0 for row in rows)


def test_a_threshold_from_a_folder_is_a_probability(run: Run, siglip: ServedSiglip, tmp_path: Path) -> None:
    best = siglip.sorted_scores()[:, 0]
    for file, score in zip(siglip.files, best, strict=True):
        folder = tmp_path / (LABELS[0] if score >= 0.5 else "else")
        folder.mkdir(exist_ok=True)
        (folder / file.name).write_bytes(file.read_bytes())
    ran = run("clip-classify", *siglip.files, *BARE, "--other-from", tmp_path, env=siglip.env)
    middle = (best[best < 0.5].max() + best[best >= 0.5].min()) / 2
    assert f"threshold {middle:.3f}: balanced accuracy 1.000" in ran.stderr
    assert [row["label"] == "other" for row in ran.rows] == (best < 0.5).tolist()


def test_a_label_set_keeps_the_scores_and_saves_them(
    search: ImageSearch, siglip: ServedSiglip, stored: str, stack: Stack
) -> None:
    name = f"set{uuid4().hex[:8]}"
    first = sort_rows(search.classify(None, LABELS, ["{}"], label_set=name, save=True))
    assert_open_clips(sort_rows(search.classify(None, label_set=name)), siglip)
    rows = stack.graphql(f"{{ Get {{ {stored} {{ path predicted_score predicted_label }} }} }}")
    saved = {row["path"]: (row["predicted_label"], row["predicted_score"]) for row in rows}
    assert saved == {row["path"]: (row["label"], pytest.approx(row["score"], abs=TOLERANCE)) for row in first}


@pytest.mark.parametrize("boost", [few_shot(), linear_probe(), remove_means()])
def test_with_a_boost_scores_are_shares(search: ImageSearch, boost: Boost) -> None:
    results = list(search.classify(None, list(FOLDERS), ["{}"], boost=boost))
    assert len(results) == len(DRAWN)
    for result in results:
        assert result.margin == pytest.approx(2 * result.score - 1, abs=1e-6)  # two labels share the whole
