"""Zero-shot classification through the database: folder names are the labels, chance is one in seventeen."""

from collections import Counter
from pathlib import Path

import pytest

from clip_vectorizer.query import ImageSearch
from tests.stack.conftest import Run
from tests.stack.drawings import DRAWINGS
from tests.stack.support import EXAMPLES

pytestmark = pytest.mark.stack

LABELS = sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())
BANANA, OWL = EXAMPLES / "fruit" / "banana.png", EXAMPLES / "birds" / "owl.png"


def test_folder_names_are_far_better_than_chance(run: Run, examples: str) -> None:
    rows = run("clip-classify", "--labels", ",".join(LABELS), "--collection", examples, "--json").rows
    right = sum(Path(row["path"]).parent.name == row["label"] for row in rows)
    biggest = max(Counter(file.parent.name for file in EXAMPLES.rglob("*.png")).values())
    assert len(rows) == len(list(EXAMPLES.rglob("*.png")))
    assert right / len(rows) >= 3 / len(LABELS), f"{right} of {len(rows)}"
    assert right >= 2.5 * biggest, "one label for everything would do as well"


def test_names_of_things_are_recognized(search: ImageSearch) -> None:
    things = [english for english, _ in DRAWINGS.values()]
    answers = search.classify([EXAMPLES / f"{drawing}.png" for drawing in DRAWINGS], things)
    found = [answer.label for answer in answers]
    right = sum(label == thing for label, thing in zip(found, things, strict=True))
    assert right >= 12, found  # chance finds one of 24


def test_files_are_classified_without_being_uploaded(run: Run) -> None:
    rows = run("clip-classify", BANANA, OWL, "--labels", "fruit,birds", "--json").rows
    assert [Path(row["path"]).name for row in rows] == ["banana.png", "owl.png"]
    assert all(row["label"] in ("fruit", "birds") for row in rows)


def test_two_labels_share_the_whole_probability(run: Run) -> None:
    [row] = run("clip-classify", BANANA, "--labels", "fruit,birds", "--json").rows
    # softmax over all labels: the loser has the rest, so the winner has half or more and the margin is the difference
    assert 0.5 <= row["score"] <= 1
    assert row["margin"] == pytest.approx(2 * row["score"] - 1, abs=1e-3)


def test_chinese_labels_give_chinese_results(run: Run) -> None:
    [row] = run("clip-classify", BANANA, "--labels", "水果,鸟", "--json").rows
    assert row["label"] in ("水果", "鸟")


@pytest.mark.parametrize(
    ("labels", "named"),
    [("fruit,birds,fruit", "fruit"), ("fruit,,birds", "label"), ("", "label")],
    ids=["a label twice", "an empty label", "no labels"],
)
def test_unusable_labels_are_a_usage_error(run: Run, labels: str, named: str) -> None:
    refused = run("clip-classify", BANANA, "--labels", labels, expect=2)
    assert refused.stdout == ""
    assert named in refused.stderr
