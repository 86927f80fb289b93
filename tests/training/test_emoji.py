from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

from clip_vectorizer.training import towers
from clip_vectorizer.training.captions import encode_token_ids
from clip_vectorizer.training.drawings import load_concepts
from clip_vectorizer.training.emoji import TrainingPlan, load_tokenizer, train_emoji
from clip_vectorizer.training.evaluation import HeldOutFigures, RecallRow, compute_recall, format_markdown
from clip_vectorizer.training.loop import TrainingStage
from clip_vectorizer.training.shipping import ship_best_model
from tests.training.art import write_packages


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> TrainingPlan:
    """A whole training in miniature, run to its end."""
    work = tmp_path_factory.mktemp("training")
    write_packages(work / "packages")
    short = TrainingStage(steps=2, peak=1e-3, batch=8, warmup=1)
    plan = TrainingPlan(work, work / "emoji", teacher=short, student=short)
    train_emoji(plan)
    return plan


def test_open_clip_loads_what_training_saves(plan: TrainingPlan) -> None:
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{plan.output}")
    vectors = model.eval().encode_image(torch.zeros(1, 3, 48, 48), normalize=True)
    assert vectors.shape == (1, towers.EMBEDDING)


def test_open_clip_reads_texts_as_the_sidecar_does(plan: TrainingPlan) -> None:
    texts = ["red circle", "一张蓝色方块的图片"]
    theirs = open_clip.get_tokenizer(f"local-dir:{plan.output}")(texts)
    ours = encode_token_ids(load_tokenizer(plan.work, load_concepts(plan.work / "packages")), texts)
    assert theirs[:, : ours.shape[1]].tolist() == ours.tolist()
    assert theirs[:, ours.shape[1] :].sum() == 0


def test_both_stages_are_measured_on_the_held_out_art(plan: TrainingPlan) -> None:
    rows = (plan.output / "recall.md").read_text().splitlines()
    assert sum(row.startswith(("| text->image", "| image->text")) for row in rows) == 2 * 8


@pytest.mark.parametrize(("behind", "shipped"), [(0.02, "student"), (0.04, "teacher")])
def test_the_teacher_ships_when_the_student_is_clearly_behind(tmp_path: Path, behind: float, shipped: str) -> None:
    for name in ("teacher", "student"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_text(name)
    figures = {
        name: HeldOutFigures([RecallRow("text->image", "en", "name", (first, 0.6, 0.7))], [])
        for name, first in (("teacher", 0.5), ("student", 0.5 - behind))
    }
    ship_best_model(tmp_path, tmp_path / "out", figures)
    assert (tmp_path / "out" / "weights").read_text() == shipped
    assert f"{shipped}, shipped" in (tmp_path / "out" / "recall.md").read_text()


def test_the_shipped_weights_are_halves_and_small(plan: TrainingPlan) -> None:
    assert (plan.output / "open_clip_model.safetensors").stat().st_size < 12_000_000


def test_the_student_keeps_the_teachers_text_tower(plan: TrainingPlan) -> None:
    teacher = open_clip.create_model(f"local-dir:{plan.work / 'teacher'}").eval()
    student = open_clip.create_model(f"local-dir:{plan.work / 'student'}").eval()
    ids = encode_token_ids(load_tokenizer(plan.work, load_concepts(plan.work / "packages")), ["red circle"])
    with torch.no_grad():
        torch.testing.assert_close(towers.embed_token_ids(student, ids), towers.embed_token_ids(teacher, ids))


def test_texts_of_mixed_length_get_the_vectors_open_clip_gives(plan: TrainingPlan) -> None:
    student = open_clip.create_model(f"local-dir:{plan.work / 'student'}").eval()
    tokenizer = load_tokenizer(plan.work, load_concepts(plan.work / "packages"))
    ids = encode_token_ids(tokenizer, ["red", "a drawing of a golden triangle", "蓝色方块"])
    padded = torch.nn.functional.pad(ids, (0, towers.CONTEXT - ids.shape[1]))
    with torch.no_grad():
        torch.testing.assert_close(towers.embed_token_ids(student, ids), student.encode_text(padded, normalize=True))


def test_a_finished_stage_is_not_trained_again(plan: TrainingPlan) -> None:
    before = (plan.work / "teacher.safetensors").stat().st_mtime_ns
    train_emoji(plan)
    assert (plan.work / "teacher.safetensors").stat().st_mtime_ns == before


def test_recall_counts_ties_against_the_model() -> None:
    assert compute_recall(np.eye(20, dtype=np.float32)) == (1.0, 1.0, 1.0)
    assert compute_recall(np.ones((20, 20), dtype=np.float32)) == (0.0, 0.0, 0.0)
    assert compute_recall(np.triu(np.ones((4, 4), dtype=np.float32))) == (0.25, 1.0, 1.0)


def test_the_table_names_every_depth() -> None:
    table = format_markdown([RecallRow("text->image", "en", "name", (0.1, 0.5, 1.0))])
    assert table.splitlines()[0].endswith("recall@1 | recall@5 | recall@10 |")
    assert table.splitlines()[-1] == "| text->image | en | name | 0.100 | 0.500 | 1.000 |"
