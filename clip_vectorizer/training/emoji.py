"""`clip-vectorizer train emoji`: from npm packages to the weights in `clip_vectorizer/models/emoji`."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip.model import CLIP
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.placement import Placement
from clip_vectorizer.training import drawings as art
from clip_vectorizer.training import towers
from clip_vectorizer.training.captions import END, PAD, START, corpus, token_ids, train_tokenizer
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.evaluation import as_markdown, recall_table
from clip_vectorizer.training.loop import Stage
from clip_vectorizer.training.recipe import STYLE_SHARES, Drawings, distil, train_teacher

log = logging.getLogger(__name__)

TEACHER_PEAK, STUDENT_PEAK = 2e-3, 1.5e-3  # learning rates
DRAWING_SIZE = 64  # pixels: a third more than the towers see, so that a view can zoom in


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the training works, and how long."""

    work: Path  # packages, rendered art, the tokenizer and finished stages: each is made once
    output: Path  # where the model goes
    teacher: Stage
    student: Stage


def train_emoji(plan: Plan) -> None:
    """Trains both stages, exports the student and measures both on the held-out art."""
    plan.work.mkdir(parents=True, exist_ok=True)
    torch.set_flush_denormal(True)  # denormal numbers slow a CPU down
    packages = art.fetch_packages(plan.work / "packages")
    concepts = art.load_concepts(packages)
    drawings = Drawings(concepts, rendered_training_art(plan.work, packages, concepts))
    tokenizer = tokenizer_for(plan.work, concepts)
    teacher = taught(plan, drawings, tokenizer)
    student = distilled(plan, teacher, drawings, tokenizer)
    export(teacher, towers.CONVOLUTIONAL, tokenizer, plan.work / "teacher")
    export(student, towers.TRANSFORMER, tokenizer, plan.output)
    for folder in (plan.work / "teacher", plan.output):
        table = held_out_table(plan.work, packages, concepts, folder)
        (folder / "recall.md").write_text(table + "\n")
        log.info("%s on the held-out art:\n%s", folder, table)


def plan_of(work: Path, output: Path, teacher_steps: int, student_steps: int) -> Plan:
    return Plan(work, output, Stage(teacher_steps, TEACHER_PEAK), Stage(student_steps, STUDENT_PEAK))


def held_out_table(work: Path, packages: Path, concepts: list[Concept], folder: Path) -> str:
    """Recall of the exported model, loaded as the sidecar loads it, on art that no stage has seen."""
    drawings = rendered(work, packages, concepts, art.HELD_OUT_SET, ("drawn",))["drawn"].permute(0, 2, 3, 1).numpy()
    encoder = load_encoder(ModelName(f"local-dir:{folder}"), Placement())
    return as_markdown(recall_table(encoder, concepts, drawings))


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


def save_weights(state: dict[str, Tensor], file: Path) -> None:
    save_file({name: value.contiguous() for name, value in state.items()}, file)
    file.chmod(0o644)  # safetensors makes files that only their owner can read


def export(model: CLIP, vision: dict[str, Any], tokenizer: Tokenizer, folder: Path) -> None:
    """A folder that `open_clip` loads as `local-dir:`: fp16 weights, config, tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    halves = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    save_weights(halves, folder / "open_clip_model.safetensors")
    text = {**towers.TEXT, "hf_tokenizer_name": "clip-vectorizer/emoji"}
    config = {
        "model_cfg": {"embed_dim": towers.EMBEDDING, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {
            "mean": [towers.MEAN] * 3,
            "std": [towers.STD] * 3,
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    special = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": START, "eos_token": END, "pad_token": PAD}
    (folder / "tokenizer_config.json").write_text(json.dumps(special, indent=2) + "\n")
