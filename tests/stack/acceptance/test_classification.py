"""Classification of one image, many, the results of a query, or the whole collection."""

from pathlib import Path

import numpy as np
import pytest

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.errors import InputError
from clip_vectorizer.query import Classification, ImageSearch
from tests.stack.acceptance.gallery import PATHS
from tests.stack.acceptance.in_process import Command
from tests.stack.drawings import DRAWINGS
from tests.stack.support import EXAMPLES

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
    answers = {strategy: classify_all(search, strategy) for strategy in STRATEGIES}
    assert len(answers["matmul"]) == len(list(EXAMPLES.rglob("*.png")))
    assert len({answer.label for answer in answers["matmul"].values()}) > 10, "labels that nothing gets prove nothing"
    for strategy in STRATEGIES:
        for path, answer in answers[strategy].items():
            assert (answer.label, answer.runner_up) == best_labels(answers["matmul"][path]), (strategy, path)
            assert answer.score == pytest.approx(answers["matmul"][path].score, abs=1e-4)


def classify_all(search: ImageSearch, strategy: str) -> dict[str, Classification]:
    return {one.path: one for one in search.classify(None, THINGS, strategy=strategy)}


def best_labels(answer: Classification) -> tuple[str, str]:
    return answer.label, answer.runner_up


def test_the_automatic_strategy_gives_the_same_labels(pictures: ImageSearch) -> None:
    by_itself = {one.path: best_labels(one) for one in pictures.classify(None, THINGS)}
    assert by_itself == {path: best_labels(one) for path, one in classify_all(pictures, "images").items()}
    assert by_itself.keys() == PATHS


@pytest.mark.parametrize("names", [("first", "second"), ("second", "first")], ids=str)
def test_every_strategy_takes_the_first_of_labels_with_the_same_description(
    pictures: ImageSearch, names: tuple[str, str]
) -> None:
    labels = [*(f"{name}: guitar" for name in names), "panda"]
    for strategy in (*STRATEGIES, "auto"):
        answers = {one.path: one for one in pictures.classify(None, labels, strategy=strategy)}
        assert best_labels(answers["musical instruments/guitar.png"]) == names, strategy


def test_an_unknown_strategy_is_refused(pictures: ImageSearch) -> None:
    with pytest.raises(InputError, match="guess"):
        list(pictures.classify(None, THINGS, strategy="guess"))


def test_the_results_of_a_query_are_classified_in_their_order(pictures: ImageSearch) -> None:
    hits = pictures.find("apple", limit=5)
    answers = list(pictures.classify(hits, ["apple", "heart", "guitar"]))
    assert [answer.path for answer in answers] == [hit.path for hit in hits]
    whole = {one.path: one.label for one in pictures.classify(None, ["apple", "heart", "guitar"])}
    assert [answer.label for answer in answers] == [whole[hit.path] for hit in hits]


def test_the_command_classifies_what_a_query_finds(clip_classify: Command, pictures: ImageSearch) -> None:
    rows = clip_classify("--query", "apple", "--limit", 4, "--labels", "apple,heart,guitar", "--json").rows
    assert [row["path"] for row in rows] == [hit.path for hit in pictures.find("apple", limit=4)]
    assert rows[0]["label"] == "apple"


def test_in_python_an_unreadable_image_is_an_error_in_its_place(pictures: ImageSearch) -> None:
    pile = [GUITAR, b"not a picture", PANDA, b"", Path("no-such-file.png")]
    answers = list(pictures.classify(pile, ["guitar", "panda"]))
    assert [one.label for one in answers] == ["guitar", "", "panda", "", ""]
    assert [bool(one.error) for one in answers] == [False, True, False, True, True]
    assert answers[4].path == "no-such-file.png"


def test_a_filter_selects_the_images_to_classify(clip_classify: Command) -> None:
    rows = clip_classify("--labels", "guitar,panda", "--where", "label=fruit", "--where", "price<3", "--json").rows
    assert {row["path"] for row in rows} == {"fruit/banana.png", "fruit/lemon.png"}


def test_unreadable_files_among_a_thousand_are_reported_and_the_rest_are_classified(
    clip_classify: Command, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number:04}.png" for number in range(1000)]
    for number, file in enumerate(files):
        file.write_bytes(b"not a picture" if number == 500 else (PANDA if number % 2 else GUITAR).read_bytes())
    files[700].unlink()
    answer = clip_classify(*files, "--labels", "guitar,panda", "--json", expect=3)
    assert [row["path"] for row in answer.rows] == list(map(str, files))
    failed = {number for number, row in enumerate(answer.rows) if row.get("error")}
    assert failed == {500, 700}
    assert all(row["label"] == ("panda" if n % 2 else "guitar") for n, row in enumerate(answer.rows) if n not in failed)
    assert "0500.png" in answer.stderr and "0700.png" in answer.stderr
