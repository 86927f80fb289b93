"""Weights of finished stages in the work folder."""

from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from clip_vectorizer.errors import TrainingDataError


def load_or_train(file: Path, steps: int, train: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the weights in `file`, trained first if it does not exist.

    Raises TrainingDataError if those in the file are from a training of another length.
    """
    if not file.exists():
        save_weights(train(), file, {"steps": str(steps)})
    with safe_open(file, framework="pt") as stored:
        done = (stored.metadata() or {}).get("steps", str(steps))
    if done != str(steps):
        raise TrainingDataError(f"{file} was trained for {done} steps, not {steps}: remove it, or use another folder")
    return load_file(file)


def save_weights(state: Mapping[str, Tensor], file: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Replace the file at once."""
    draft = file.with_suffix(".draft")
    save_file({name: value.contiguous() for name, value in state.items()}, draft, dict(metadata) if metadata else None)
    draft.chmod(0o644)  # safetensors creates files that only their owner can read
    draft.replace(file)
