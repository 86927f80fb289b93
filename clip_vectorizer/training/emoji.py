"""`clip-vectorizer train emoji`: from npm packages to the weights in `clip_vectorizer/models/emoji`."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from open_clip.model import CLIP
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from clip_vectorizer.training import drawings as art
from clip_vectorizer.training import towers
from clip_vectorizer.training.captions import build_corpus, encode_token_ids, train_tokenizer
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.loop import TrainingStage
from clip_vectorizer.training.recipe import STYLE_SHARES, TrainingDrawings, train_student, train_teacher
from clip_vectorizer.training.shipping import export_model, measure_exported_model, save_weights, ship_best_model

log = logging.getLogger(__name__)

STAGES = ("teacher", "student")  # folders in `work`
TEACHER_PEAK, STUDENT_PEAK = 2e-3, 1.5e-3  # learning rates
DRAWING_SIZE = 64  # pixels: a third more than the towers see, so that a view can zoom in


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Folders and stages of a training."""

    work: Path  # packages, rendered art, the tokenizer and finished stages, reused by later runs
    output: Path  # folder of the shipped model
    teacher: TrainingStage
    student: TrainingStage


def train_emoji(plan: TrainingPlan) -> None:
    """Train both stages, measure both on the held-out art and export the better one."""
    plan.work.mkdir(parents=True, exist_ok=True)
    with flush_denormals():
        train_both(plan)


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Flush denormal numbers, which slow a CPU down, to zero inside the context."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def train_both(plan: TrainingPlan) -> None:
    packages = art.fetch_packages(plan.work / "packages")
    concepts = art.load_concepts(packages)
    drawings = TrainingDrawings(concepts, render_training_art(plan.work, packages, concepts))
    tokenizer = load_tokenizer(plan.work, concepts)
    teacher = load_teacher(plan, drawings, tokenizer)
    student = load_student(plan, teacher, drawings, tokenizer)
    export_model(teacher, towers.CONVOLUTIONAL_CONFIG, tokenizer, plan.work / "teacher")
    export_model(student, towers.TRANSFORMER_CONFIG, tokenizer, plan.work / "student")
    held_out = render_art_set(plan.work, packages, concepts, art.HELD_OUT_SET, ("drawn",))["drawn"]
    ship_best_model(
        plan.work, plan.output, {name: measure_exported_model(plan.work / name, concepts, held_out) for name in STAGES}
    )


def plan_training(work: Path, output: Path, teacher_steps: int, student_steps: int) -> TrainingPlan:
    return TrainingPlan(
        work, output, TrainingStage(teacher_steps, TEACHER_PEAK), TrainingStage(student_steps, STUDENT_PEAK)
    )


def render_training_art(work: Path, packages: Path, concepts: list[Concept]) -> dict[str, Tensor]:
    """Return style -> (A, N, 4, H, H) uint8."""
    sets = [render_art_set(work, packages, concepts, name, tuple(STYLE_SHARES)) for name in art.TRAINING_SETS]
    return {style: torch.stack([each[style] for each in sets]) for style in STYLE_SHARES}


def render_art_set(
    work: Path, packages: Path, concepts: list[Concept], name: str, styles: tuple[str, ...]
) -> dict[str, Tensor]:
    """Return style -> (N, 4, H, H) uint8 of one art set; rendered once, then read from `work`."""
    file = work / f"draw-{name}.npz"
    if not file.exists():
        log.info("rendering %s: %d drawings in %d styles", name, len(concepts), len(styles))
        pictures = {style: art.render_set(packages, name, concepts, DRAWING_SIZE, style) for style in styles}
        np.savez(file, allow_pickle=False, **pictures)
    with np.load(file) as stored:
        return {style: torch.from_numpy(stored[style]).permute(0, 3, 1, 2).contiguous() for style in styles}


def load_tokenizer(work: Path, concepts: list[Concept]) -> Tokenizer:
    file = work / "tokenizer.json"
    if not file.exists():
        train_tokenizer(build_corpus(concepts), towers.VOCABULARY, towers.CONTEXT).save(str(file))
    return Tokenizer.from_file(str(file))


def load_teacher(plan: TrainingPlan, drawings: TrainingDrawings, tokenizer: Tokenizer) -> CLIP:
    """Return the teacher, trained unless its weights are in the work folder."""
    torch.manual_seed(plan.teacher.seed)
    model, file = towers.build_clip(towers.CONVOLUTIONAL_CONFIG), plan.work / "teacher.safetensors"
    if not file.exists():
        save_weights(train_teacher(model, drawings, tokenizer, plan.teacher).state, file)
    model.load_state_dict(load_file(file))
    return model.eval().requires_grad_(False)


def load_student(plan: TrainingPlan, teacher: CLIP, drawings: TrainingDrawings, tokenizer: Tokenizer) -> CLIP:
    """Return the student, trained unless its weights are in the work folder."""
    torch.manual_seed(plan.student.seed)
    model, file = towers.build_student(teacher), plan.work / "student.safetensors"
    if not file.exists():
        names = [embed_names(teacher, tokenizer, drawings.concepts, language) for language in ("en", "zh")]
        save_weights(train_student(model, teacher, drawings, names, plan.student).state, file)
    model.load_state_dict(load_file(file))
    return model.eval().requires_grad_(False)


def embed_names(model: CLIP, tokenizer: Tokenizer, concepts: Sequence[Concept], language: str) -> Tensor:
    """Return (N, D) unit rows: the plain name of every concept."""
    with torch.no_grad():
        return towers.embed_token_ids(
            model, encode_token_ids(tokenizer, [getattr(item, f"name_{language}") for item in concepts])
        )
