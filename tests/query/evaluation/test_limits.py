"""The tasks of `clip-eval limits`, with models that see everything, nothing, or at random."""

from pathlib import Path

import numpy as np
import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.choices import COUNTING, LOOK_ALIKES, PLACES, WORDING
from clip_vectorizer.query.evaluation.limits import LimitFindings
from clip_vectorizer.query.evaluation.limits_choices import MultipleChoice, run_choices
from clip_vectorizer.query.evaluation.limits_digits import (
    DigitImages,
    load_digit_images,
    measure_digits,
    read_by_regression,
)
from clip_vectorizer.query.evaluation.limits_naming import draw_unlike_names, find_look_alikes
from clip_vectorizer.query.evaluation.limits_phrases import LEFT_RIGHT, PHRASES
from clip_vectorizer.query.evaluation.limits_scenes import load_drawings
from clip_vectorizer.query.evaluation.statistics import Share
from clip_vectorizer.query.evaluation.tables import CellValue
from tests.query.evaluation.folders import silent
from tests.query.evaluation.squares import (
    COLOURS,
    ConstantEncoder,
    RandomEncoder,
    SquareReader,
    measure_folder,
    squares,
)
from tests.stack.support import EXAMPLES

ENGLISH, CHINESE = PHRASES["en"], PHRASES["zh"]
OF_DRAWINGS = (COUNTING, PLACES, LOOK_ALIKES, WORDING)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="module")
def seen(folder: Path) -> LimitFindings:
    return measure_folder(folder, SquareReader(), OF_DRAWINGS)


def rows(findings: LimitFindings, table: str) -> dict[str, dict[str, CellValue]]:
    [found] = [each for each in findings.tables if each.name == table]
    return {str(row["task"]): dict(row) for row in found.rows}


def test_a_model_that_sees_everything_is_always_right(seen: LimitFindings) -> None:
    for table in ("counting", "places", "look-alikes", "wording"):
        for task, row in rows(seen, table).items():
            assert isinstance(row["right"], Share) and row["right"].value == 1, task
    [spread] = next(each for each in seen.tables if each.name == "wording-spread").rows
    assert (spread["best_less_worst"], spread["high"], spread["name_changes"]) == (0, 0, Share(0, 12))
    [differences] = [each for each in seen.tables if each.name == "differences"]
    assert [row["value"] for row in differences.rows] == [0, 0, 0]


def test_every_number_has_its_share_of_the_drawings_and_its_mean_answer(seen: LimitFindings) -> None:
    counting = rows(seen, "counting")
    assert [row["pictures"] for row in counting.values()] == [3, 3, 2, 2, 2, 12, 12]
    assert [row["mean_answer"] for row in counting.values()] == [1, 2, 3, 4, 5, pytest.approx(33 / 12), ""]
    assert [row["chance"] for row in counting.values()] == [pytest.approx(0.2)] * 7


def test_chance_follows_from_the_number_of_captions(seen: LimitFindings) -> None:
    assert [row["chance"] for row in rows(seen, "places").values()] == [0.5, 0.25, 0.5, 0.25, 0.5]
    assert [row["chance"] for row in rows(seen, "look-alikes").values()] == [pytest.approx(1 / 6)] * 2
    assert {row["chance"] for row in rows(seen, "wording").values()} == {1 / 12}


def test_a_model_without_any_answer_is_never_right(folder: Path) -> None:
    findings = measure_folder(folder, ConstantEncoder(), OF_DRAWINGS)
    for table in ("counting", "places", "look-alikes", "wording"):
        for task, row in rows(findings, table).items():
            assert isinstance(row["right"], Share) and row["right"].value == 0, task


def test_a_model_that_guesses_is_at_chance_on_the_examples() -> None:
    findings = measure_folder(EXAMPLES, RandomEncoder(), (COUNTING, PLACES, LOOK_ALIKES))
    found = [
        row["verdict"] for table in ("counting", "places", "look-alikes") for row in rows(findings, table).values()
    ]
    assert len(found) == 14
    assert found.count("at chance") >= 12, "one in twenty intervals may miss"


def test_the_same_folder_gives_the_same_figures_and_the_same_pictures(folder: Path, seen: LimitFindings) -> None:
    first, second = SquareReader(), SquareReader()
    tables = [measure_folder(folder, encoder, OF_DRAWINGS).tables for encoder in (first, second)]
    assert tables[0] == tables[1] == seen.tables
    assert (first.pictures, first.texts) == (second.pictures, second.texts)


def test_the_counterpart_has_the_same_pictures_and_captions_that_differ_in_the_name_alone(folder: Path) -> None:
    encoder = SquareReader()
    measure_folder(folder, encoder, (COUNTING,))
    half = len(encoder.pictures) // 2
    assert encoder.pictures[:half] == encoder.pictures[half:]
    assert {"one red cube", "five red cubes", "there are two teal balls in the picture"} <= set(encoder.texts)


def test_both_orders_of_a_pair_have_the_same_two_captions() -> None:
    [first, *_], [_, second, _] = ENGLISH.place(LEFT_RIGHT, "red", "owl"), ENGLISH.place(LEFT_RIGHT, "owl", "red")
    assert (first, second) == ("a red to the left of an owl", "an owl on the left and a red on the right")


def test_look_alikes_share_a_word_and_a_folder_and_unlike_names_neither(folder: Path) -> None:
    drawings = load_drawings(folder, "en", 400, silent).drawings
    red = next(each for each in drawings if each.name == "red cube")
    assert sorted(find_look_alikes(red, drawings, ENGLISH)) == [
        f"{colour} cube" for colour in ("blue", "cyan", "green", "magenta", "yellow")
    ]
    others = draw_unlike_names(red, drawings, 5, ENGLISH, np.random.default_rng(0))
    assert len(set(others)) == 5 and all(name.endswith(" ball") for name in others)


def test_an_option_is_the_average_of_its_wordings() -> None:
    picture = next(iter(load_drawings(EXAMPLES, "en", 10, silent).drawings)).png
    choice = MultipleChoice(picture, (("a", "b"), ("c",)), 0)
    encoder = RandomEncoder()
    picture_d, a, b, c = (*encoder.embed_images([picture]), *encoder.embed_texts(["a", "b", "c"]))
    mean = (a + b) / np.linalg.norm(a + b)
    expected = 0 if picture_d @ mean > picture_d @ c else 1
    assert run_choices([choice], encoder, silent, "").chosen_n.tolist() == [expected]


def test_an_impossible_task_is_a_note_and_an_error_where_it_was_wanted(folder: Path, tmp_path: Path) -> None:
    for colour in COLOURS:
        file = tmp_path / "things" / f"{colour}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes((next(folder.rglob(f"{colour}.png"))).read_bytes())
        file.with_suffix(".txt").write_text(f"a very long sentence about {colour} and more of it")
    with pytest.raises(InputError, match="counting: 0 images with a short name of one thing"):
        measure_folder(tmp_path, SquareReader(), (COUNTING,))
    findings = measure_folder(tmp_path, ConstantEncoder())
    assert {table.name for table in findings.tables} == {"wording", "wording-spread", "digits", "differences"}
    assert [note.split(": ")[1] for note in findings.notes] == ["counting", "places", "look-alikes"]


def test_digits_need_no_folder_and_are_read_by_regression_where_the_texts_fail() -> None:
    every = load_digit_images()
    few = DigitImages(every.pixels_nd[:400], every.truth_n[:400])
    right = measure_digits(few, ENGLISH, RandomEncoder(), silent).right
    assert list(right) == ["zero-shot, figures", "zero-shot, words", "regression, pixels", "regression, features"]
    assert right["regression, pixels"].mean() > 0.8
    assert all(right[name].mean() < 0.25 for name in right if name != "regression, pixels")


def test_a_regression_on_features_that_name_the_digit_is_always_right() -> None:
    truth_n = load_digit_images().truth_n[:200]
    assert read_by_regression(np.eye(10)[truth_n], truth_n).all()


@pytest.mark.parametrize(
    ("name", "plural"),
    [
        ("cat", "cats"),
        ("goose", "geese"),
        ("Grey Wolf", "Grey wolves"),
        ("bus", "buses"),
        ("hat (new)", "hat (new)s"),
    ],
)
def test_plurals(name: str, plural: str) -> None:
    assert ENGLISH.count_words(2, name) == f"two {plural}"
    assert ENGLISH.count_words(1, name) == f"one {name}"


@pytest.mark.parametrize("name", ["glasses", "two hearts", "hammer and pick", "bread", "cup with straw", "", "a b c d"])
def test_names_of_no_single_thing_are_not_counted(name: str) -> None:
    assert not ENGLISH.is_countable(name)


def test_chinese_captions() -> None:
    assert CHINESE.count(2, "猫")[0] == "两个猫"
    assert CHINESE.place(LEFT_RIGHT, "猫", "狗")[0] == "猫在狗的左边"
    assert CHINESE.is_countable("红苹果") and not CHINESE.is_countable("微笑的月亮")
    assert CHINESE.key_words("红心") & CHINESE.key_words("蓝心") == {"心"}
    assert all(len(each.paraphrases) == len(set(each.paraphrases)) == 10 for each in PHRASES.values())
