"""An evaluation whose figures are known in advance: pictures and texts differ by their colour."""

from pathlib import Path

import pytest

from clip_vectorizer.query.evaluation.dataset import load_labelled_folder
from clip_vectorizer.query.evaluation.evaluate import Evaluation, evaluate
from clip_vectorizer.query.evaluation.few_shot import split_folds
from clip_vectorizer.query.evaluation.statistics import Share
from clip_vectorizer.query.evaluation.tables import Table
from tests.query.evaluation.folders import CHINESE, each, labelled, silent
from tests.query.fakes import INFO, FakeSidecar, picture


def evaluated(folder: Path, whole: bool = False) -> Evaluation:
    sidecar = FakeSidecar()
    return evaluate(load_labelled_folder(folder, sidecar, silent), INFO, sidecar, silent, whole, [CHINESE])


def table(evaluation: Evaluation, name: str) -> Table:
    [found] = [each for each in evaluation.tables if each.name == name]
    return found


def test_every_prompt_set_of_both_languages_is_measured(tmp_path: Path) -> None:
    rows = table(evaluated(labelled(tmp_path, each(2))), "zero-shot").rows
    rows_by_task = {(row["classes"], row["language"], row["prompts"]) for row in rows}
    assert {("3 by folder", "en", "photo-80"), ("3 by folder", "zh", "zh-photo-80")} <= rows_by_task
    assert {("3 by caption", "en", "word"), ("3 by caption", "zh", "zh-photo-7")} <= rows_by_task
    assert all(row["top_1"] == Share(6, 6) for row in rows)


def test_a_wrong_image_lowers_the_accuracy_of_its_class(tmp_path: Path) -> None:
    labelled(tmp_path, each(2))
    (tmp_path / "red" / "1.png").write_bytes(picture("blue"))
    evaluation = evaluated(tmp_path)
    assert table(evaluation, "zero-shot").rows[0]["top_1"] == Share(5, 6)
    [red] = [row for row in table(evaluation, "class").rows if row["class"] == "red"]
    assert (red["top_1"], red["mostly_taken_for"]) == (Share(1, 2), "blue (1)")
    [row] = [row for row in table(evaluation, "confusion").rows if row["is"] == "red"]
    assert row["taken_for"] == {"blue": 1, "green": 0, "red": 1}


def test_equal_captions_are_relevant_to_all_their_images(tmp_path: Path) -> None:
    rows = table(evaluated(labelled(tmp_path, each(2))), "retrieval").rows
    text, image = rows[0], rows[1]
    assert (text["query"], text["against"], text["recall@1"]) == ("text->image", 6, Share(3, 3))
    assert (image["query"], image["against"], image["recall@1"]) == ("image->text", 3, Share(6, 6))


def test_without_captions_search_is_skipped_with_a_note(tmp_path: Path) -> None:
    evaluation = evaluated(labelled(tmp_path, each(2), captions=False))
    assert [each.name for each in evaluation.tables] == ["zero-shot", "few-shot", "class", "confusion"]
    assert any("no image has a caption" in note for note in evaluation.notes)


def test_a_class_of_one_image_is_measured_with_a_note(tmp_path: Path) -> None:
    evaluation = evaluated(labelled(tmp_path, each(3) | {"blue": 1}))
    assert any("single image" in note and "blue" in note for note in evaluation.notes)
    assert table(evaluation, "few-shot").rows[-1]["images"] == 7


def test_skipped_files_are_a_note(tmp_path: Path) -> None:
    (labelled(tmp_path, each(2)) / "red" / "photo.heic").write_bytes(b"x")
    assert "1 other file skipped (.heic 1)" in evaluated(tmp_path).notes


def test_a_json_row_contains_a_share_and_its_interval(tmp_path: Path) -> None:
    row = table(evaluated(labelled(tmp_path, each(2))), "zero-shot").json_rows()[0]
    assert row["table"] == "zero-shot"
    assert (row["top_1"], row["top_1_high"]) == (1.0, 1.0)
    assert row["top_1_low"] == pytest.approx(0.609666)


@pytest.mark.parametrize("shots", [1, 2, 16])
def test_every_image_is_classified_once_and_never_by_itself(tmp_path: Path, shots: int) -> None:
    truth_n = load_labelled_folder(
        labelled(tmp_path, {"red": 7, "green": 1, "blue": 11}), FakeSidecar(), silent
    ).class_n
    classified: list[int] = []
    for fold in split_folds(truth_n, shots):
        assert not set(fold.classified) & set(fold.shots)
        assert all((truth_n[fold.shots] == each).sum() <= shots for each in range(3))
        assert sorted(truth_n[fold.shots]) == list(truth_n[fold.shots])
        classified += fold.classified.tolist()
    assert sorted(classified) == list(range(len(truth_n)))
