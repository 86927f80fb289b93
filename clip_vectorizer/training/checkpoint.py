"""The state of a training on disk: all that the next step depends on, written so that a kill leaves a whole file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clip_vectorizer.errors import InputError

CHECKPOINT = "checkpoint.pt"
REMEDY = "remove it and start again, or restore the file"


@dataclass(frozen=True, slots=True)
class TrainingState:
    """`step` steps are done. The order of the data follows from it and the seed, which is in `options`."""

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    random_numbers: list[tuple[Tensor, Tensor | None]]  # of each process: those of the CPU and of its CUDA device
    best_recall: float  # mean recall@1 of the best validation; -1 before the first
    stale_epochs: int  # validations since then
    options: dict[str, str]  # what must not change, by option
    data: str  # a digest of keys and captions


def save_state(state: TrainingState, folder: Path) -> None:
    """Replace the checkpoint in `folder`. Raises OSError."""
    values = {field.name: getattr(state, field.name) for field in fields(state)}
    replace_file(folder / CHECKPOINT, values)


def replace_file(file: Path, values: Mapping[str, Any]) -> None:
    """Write beside `file`, wait for the disk, then rename: at any moment one whole file is there."""
    beside = file.with_name(f"{file.name}.part")
    with beside.open("wb") as stream:
        torch.save(dict(values), stream)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)


def load_state(folder: Path) -> TrainingState:
    """Raises InputError where there is no checkpoint, or a damaged one."""
    file = folder / CHECKPOINT
    if not file.exists():
        raise InputError(f"{file} does not exist: there is no training to continue; remove --resume")
    try:
        return TrainingState(**torch.load(file, map_location="cpu", weights_only=True))
    except Exception as error:  # zipfile, pickle and torch raise errors of their own
        raise InputError(f"{file} is no checkpoint of this command ({type(error).__name__}); {REMEDY}") from error


def check_unchanged(state: TrainingState, options: Mapping[str, str], data: str) -> None:
    """Raises InputError where a continued training would not be the same one."""
    changed = [name for name in options if state.options.get(name) != options[name]]
    if changed:
        was = ", ".join(f"{name} was {state.options.get(name, 'not there')}" for name in changed)
        raise InputError(f"--resume continues the same training: {was}; use that, or another --output")
    if state.data != data:
        raise InputError("--resume continues the same training, and images or captions changed; use another --output")
