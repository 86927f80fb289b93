"""A threshold for "none of these", and what labelled images in the database add to plain CLIP without training."""

import shutil
from pathlib import Path

import pytest

from tests.stack.acceptance.in_process import Command, ran
from tests.stack.support import EXAMPLES, Stack

pytestmark = pytest.mark.stack

TORNADO, PANDA, GUITAR = (
    EXAMPLES / f"{name}.png" for name in ("weather/tornado", "animals/panda", "musical instruments/guitar")
)
LABELS = ",".join(sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()))


def test_below_the_threshold_an_image_is_none_of_these(clip_classify: Command) -> None:
    words = (GUITAR, PANDA, TORNADO, "--labels", "guitar,panda", "--json")
    plain = [row["label"] for row in clip_classify(*words).rows]
    assert plain[:2] == ["guitar", "panda"]
    assert not {row["label"] for row in clip_classify(*words, "--other", 0.999).rows} & {"guitar", "panda"}
    assert [row["label"] for row in clip_classify(*words, "--other", 0.01).rows] == plain


def test_a_folder_chooses_the_threshold_between_known_and_unknown(clip_classify: Command, tmp_path: Path) -> None:
    for label, drawings in {
        "guitar": ["musical instruments/guitar"],
        "panda": ["animals/panda"],
        "anything else": ["hearts/blue-heart", "vehicles/tractor", "fruit/banana", "buildings/castle"],
    }.items():
        (tmp_path / label).mkdir()
        for drawing in drawings:
            shutil.copy(EXAMPLES / f"{drawing}.png", tmp_path / label)
    strangers = [EXAMPLES / "hearts" / "red-heart.png", EXAMPLES / "fruit" / "lemon.png", TORNADO]
    words = (GUITAR, PANDA, *strangers, "--labels", "guitar,panda", "--json")
    rows = clip_classify(*words, "--other-from", tmp_path).rows
    assert [row["label"] for row in rows[:2]] == ["guitar", "panda"]
    assert len({row["label"] for row in rows[2:]}) == 1 and rows[2]["label"] not in ("guitar", "panda")


def right(rows: list[dict[str, str]]) -> int:
    return sum(row["label"] == Path(row["path"]).parent.name for row in rows)


@pytest.fixture(scope="module")
def plain(stack: Stack, examples: str) -> int:
    """How many of the examples plain CLIP brings to their folder's name."""
    return right(ran(stack.env, "clip-classify", "--labels", LABELS, "--collection", examples, "--json").rows)


def test_labelled_neighbours_in_the_database_add_at_least_five_points(stack: Stack, examples: str, plain: int) -> None:
    words = ("clip-classify", "--labels", LABELS, "--collection", examples, "--few-shot", "label", "--shots", 16)
    rows = ran(stack.env, *words, "--json").rows
    assert len(rows) == len(list(EXAMPLES.rglob("*.png")))
    assert right(rows) >= plain + 0.05 * len(rows)


def test_a_linear_probe_learns_what_the_shots_are_called(clip_classify: Command) -> None:
    words = ("--labels", "fruit,animals,hearts,musical instruments", "--where", "price>0", "--json")
    before, after = (
        right(clip_classify(*words, *more).rows) for more in ((), ("--linear-probe", "label", "--shots", 3))
    )
    assert after >= max(before, 10)


def test_means_removed_every_image_still_gets_one_of_the_labels(stack: Stack, examples: str, plain: int) -> None:
    words = ("clip-classify", "--labels", LABELS, "--collection", examples, "--json", "--remove-means")
    rows = ran(stack.env, *words).rows
    assert {row["label"] for row in rows} <= set(LABELS.split(","))
    assert right(rows) >= plain / 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--few-shot", "labl"], "label"),
        (["--few-shot", "label", "--shots", "0"], "--shots"),
        (["--linear-probe", "labl"], "label"),
        (["--few-shot", "brand"], "brand"),  # whose values are none of the labels
    ],
    ids=str,
)
def test_shots_that_do_not_exist_are_named(clip_classify: Command, words: list[str], named: str) -> None:
    refused = clip_classify("--labels", "guitar,panda", *words, expect=2)
    assert refused.stdout == "" and named in refused.stderr
