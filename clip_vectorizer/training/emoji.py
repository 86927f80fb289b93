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
from clip_vectorizer.training.captions import corpus, token_ids, train_tokenizer
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.loop import Stage
from clip_vectorizer.training.recipe import STYLE_SHARES, Drawings, distil, train_teacher
from clip_vectorizer.training.shipping import export, recall_of, save_weights, ship

log = logging.getLogger(__name__)

STAGES = ("teacher", "student")  # folders in `work`
TEACHER_PEAK, STUDENT_PEAK = 2e-3, 1.5e-3  # learning rates
DRAWING_SIZE = 64  # pixels: a third more than the towers see, so that a view can zoom in


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the training works, and how long."""

    work: Path  # packages, rendered art, the tokenizer and finished stages: each is made once
    output: Path  # where the model that ships goes
    teacher: Stage
    student: Stage


def train_emoji(plan: Plan) -> None:
    """Trains both stages, measures both on the held-out art and exports the one that ships."""
    plan.work.mkdir(parents=True, exist_ok=True)
    with flushed_denormals():
        train_both(plan)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Denormal numbers slow a CPU down; whoever calls us may count on them."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def train_both(plan: Plan) -> None:
    packages = art.fetch_packages(plan.work / "packages")
    concepts = art.load_concepts(packages)
    drawings = Drawings(concepts, rendered_training_art(plan.work, packages, concepts))
    tokenizer = tokenizer_for(plan.work, concepts)
    teacher = taught(plan, drawings, tokenizer)
    student = distilled(plan, teacher, drawings, tokenizer)
    export(teacher, towers.CONVOLUTIONAL, tokenizer, plan.work / "teacher")
    export(student, towers.TRANSFORMER, tokenizer, plan.work / "student")
    held_out = rendered(plan.work, packages, concepts, art.HELD_OUT_SET, ("drawn",))["drawn"]
    ship(plan.work, plan.output, {name: recall_of(plan.work / name, concepts, held_out) for name in STAGES})


def plan_of(work: Path, output: Path, teacher_steps: int, student_steps: int) -> Plan:
    return Plan(work, output, Stage(teacher_steps, TEACHER_PEAK), Stage(student_steps, STUDENT_PEAK))


def rendered_training_art(work: Path, packages: Path, concepts: list[Concept]) -> dict[str, Tensor]:
    """Style -> (A, N, 4, H, H) uint8."""
    sets = [rendered(work, packages, concepts, name, tuple(STYLE_SHARES)) for name in art.TRAINING_SETS]
    return {style: torch.stack([each[style] for each in sets]) for style in STYLE_SHARES}


def rendered(
    work: Path, packages: Path, concepts: list[Concept], name: str, styles: tuple[str, ...]
) -> dict[str, Tensor]:
    """Style -> (N, 4, H, H) uint8 of one art set; rendered once, then read from `work`."""
    file = work / f"draw-{name}.npz"
    if not file.exists():
        log.info("rendering %s: %d drawings in %d styles", name, len(concepts), len(styles))
        pictures = {style: art.render_set(packages, name, concepts, DRAWING_SIZE, style) for style in styles}
        np.savez(file, allow_pickle=False, **pictures)
    with np.load(file) as stored:
        return {style: torch.from_numpy(stored[style]).permute(0, 3, 1, 2).contiguous() for style in styles}


def tokenizer_for(work: Path, concepts: list[Concept]) -> Tokenizer:
    file = work / "tokenizer.json"
    if not file.exists():
        train_tokenizer(corpus(concepts), towers.VOCABULARY, towers.CONTEXT).save(str(file))
    return Tokenizer.from_file(str(file))


def taught(plan: Plan, drawings: Drawings, tokenizer: Tokenizer) -> CLIP:
    """The teacher, trained unless its weights lie in the work folder."""
    torch.manual_seed(plan.teacher.seed)
    model, file = towers.build(towers.CONVOLUTIONAL), plan.work / "teacher.safetensors"
    if not file.exists():
        save_weights(train_teacher(model, drawings, tokenizer, plan.teacher).state, file)
    model.load_state_dict(load_file(file))
    return model.eval().requires_grad_(False)


def distilled(plan: Plan, teacher: CLIP, drawings: Drawings, tokenizer: Tokenizer) -> CLIP:
    """The student, trained unless its weights lie in the work folder."""
    torch.manual_seed(plan.student.seed)
    model, file = towers.student_of(teacher), plan.work / "student.safetensors"
    if not file.exists():
        names = [name_vectors(teacher, tokenizer, drawings.concepts, language) for language in ("en", "zh")]
        save_weights(distil(model, teacher, drawings, names, plan.student).state, file)
    model.load_state_dict(load_file(file))
    return model.eval().requires_grad_(False)


def name_vectors(model: CLIP, tokenizer: Tokenizer, concepts: Sequence[Concept], language: str) -> Tensor:
    """(N, D) unit rows: the plain name of every concept."""
    with torch.no_grad():
        return towers.text_vectors(
            model, token_ids(tokenizer, [getattr(item, f"name_{language}") for item in concepts])
        )
