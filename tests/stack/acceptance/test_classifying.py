"""One image, many, a query's results or the whole collection: classified, told, and written back on demand."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.errors import InputError
from clip_vectorizer.query import Classification, ImageSearch
from tests.stack.acceptance.gallery import PATHS
from tests.stack.acceptance.in_process import Ask, connection, ran
from tests.stack.conftest import fresh_collection
from tests.stack.drawings import DRAWINGS
from tests.stack.support import EXAMPLES, Stack

pytestmark = pytest.mark.stack

GUITAR, PANDA = EXAMPLES / "musical instruments" / "guitar.png", EXAMPLES / "animals" / "panda.png"
THINGS = [english for english, _ in DRAWINGS.values()]
STRATEGIES = ("images", "labels", "matmul")


def test_scores_are_a_softmax_over_all_labels_with_the_logit_scale(
    pictures: ImageSearch, encoder: VectorizerClient
) -> None:
    [answer] = pictures.classify([GUITAR], THINGS, ["{}"])
    logits = pictures.info.logit_scale * (encoder.embed_texts(THINGS) @ encoder.embed_images([GUITAR.read_bytes()])[0])
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    best, second = np.argsort(-shares)[:2]
    assert (answer.label, answer.runner_up) == (THINGS[best], THINGS[second])
    assert answer.score == pytest.approx(shares[best], abs=1e-4)
    assert answer.margin == pytest.approx(shares[best] - shares[second], abs=1e-4)


def test_every_strategy_gives_every_image_the_same_label(search: ImageSearch) -> None:
    answers = {strategy: told(search, strategy) for strategy in STRATEGIES}
    assert len(answers["matmul"]) == len(list(EXAMPLES.rglob("*.png")))
    assert len({answer.label for answer in answers["matmul"].values()}) > 10, "labels that nothing gets prove nothing"
    for strategy in STRATEGIES:
        for path, answer in answers[strategy].items():
            assert (answer.label, answer.runner_up) == labels_of(answers["matmul"][path]), (strategy, path)
            assert answer.score == pytest.approx(answers["matmul"][path].score, abs=1e-4)


def told(search: ImageSearch, strategy: str) -> dict[str, Classification]:
    return {one.path: one for one in search.classify(None, THINGS, strategy=strategy)}  # type: ignore[arg-type]


def labels_of(answer: Classification) -> tuple[str, str]:
    return answer.label, answer.runner_up


def test_left_alone_it_decides_as_every_strategy_does(pictures: ImageSearch) -> None:
    by_itself = {one.path: labels_of(one) for one in pictures.classify(None, THINGS)}
    assert by_itself == {path: labels_of(one) for path, one in told(pictures, "images").items()}
    assert by_itself.keys() == PATHS


def test_a_strategy_nobody_knows_is_refused(pictures: ImageSearch) -> None:
    with pytest.raises(InputError, match="guess"):
        list(pictures.classify(None, THINGS, strategy="guess"))  # type: ignore[arg-type]


def test_the_results_of_a_query_are_classified_in_their_order(pictures: ImageSearch) -> None:
    hits = pictures.find("apple", limit=5)
    answers = list(pictures.classify(hits, ["apple", "heart", "guitar"]))
    assert [answer.path for answer in answers] == [hit.path for hit in hits]
    whole = {one.path: one.label for one in pictures.classify(None, ["apple", "heart", "guitar"])}
    assert [answer.label for answer in answers] == [whole[hit.path] for hit in hits]


def test_a_filter_chooses_whom_to_classify(classify: Ask) -> None:
    rows = classify("--labels", "guitar,panda", "--where", "label=fruit", "--where", "price<3", "--json").rows
    assert {row["path"] for row in rows} == {"fruit/banana.png", "fruit/lemon.png"}


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
            assert images.by_vector(hit.vector)[0].similarity == pytest.approx(1, abs=1e-6)  # type: ignore[arg-type]


def test_a_file_that_cannot_be_read_in_the_middle_of_a_thousand_is_told_and_the_rest_are_classified(
    classify: Ask, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number:04}.png" for number in range(1000)]
    for number, file in enumerate(files):
        file.write_bytes(b"not a picture" if number == 500 else (PANDA if number % 2 else GUITAR).read_bytes())
    files[700].unlink()
    answer = classify(*files, "--labels", "guitar,panda", "--json", expect=3)
    assert [row["path"] for row in answer.rows] == list(map(str, files))
    failed = {number for number, row in enumerate(answer.rows) if row.get("error")}
    assert failed == {500, 700}
    assert all(row["label"] == ("panda" if n % 2 else "guitar") for n, row in enumerate(answer.rows) if n not in failed)
    assert "0500.png" in answer.stderr and "0700.png" in answer.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--labels", ""], "label"),
        (["--labels", "guitar"], "two"),
        (["--labels", "guitar,panda,guitar"], "guitar"),
        (["--labels", "guitar,,panda"], "label"),
        (["--labels", "@no-such-file.txt"], "no-such-file.txt"),
        (["--labels", "crane: ,dog"], "crane"),
        (["--labels", "guitar,panda", "--template", "no blank"], "no blank"),
        (["--labels", "guitar,panda", "--prompts", "fotos"], "fotos"),
        (["--labels", "guitar,panda", "--prompts", "@no-such-file.txt"], "no-such-file.txt"),
        (["--labels", "guitar,panda", "--prompts", "word", "--template", "{}"], "--template"),
        (["--labels", "guitar,panda", "--other-from", "no-such-folder"], "no-such-folder"),
        ([], "--labels"),
    ],
    ids=str,
)
def test_what_cannot_be_chosen_between_is_a_sentence_and_stores_nothing(
    classify: Ask, stack: Stack, words: list[str], named: str
) -> None:
    name = f"set-{uuid4().hex[:8]}"
    refused = classify(GUITAR, *words, *(["--label-set", name] if words else []), expect=2)
    assert refused.stdout == "" and named in refused.stderr
    held = stack.weaviate("GET", "/v1/objects?class=ImageLabelSet&limit=1000").json()["objects"]
    assert name not in [one["properties"]["name"] for one in held]


def test_a_prompt_set_nobody_made_is_answered_by_the_nearest_one(classify: Ask) -> None:
    refused = classify(GUITAR, "--labels", "guitar,panda", "--prompts", "phto-80", expect=2)
    assert "did you mean photo-80?" in refused.stderr


def test_images_that_cannot_be_chosen_are_a_sentence(classify: Ask) -> None:
    refused = classify("--labels", "guitar,panda", "--where", "labl=fruit", expect=2)
    assert refused.stdout == "" and "did you mean label?" in refused.stderr
