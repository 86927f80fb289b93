from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from clip_vectorizer.errors import TrainingDataError
from clip_vectorizer.training.stage_files import load_or_train, save_weights

WEIGHTS = {"weight": torch.arange(6.0).reshape(2, 3)}


def refuse() -> dict[str, torch.Tensor]:
    raise AssertionError("trained again")


def test_weights_are_trained_once(tmp_path: Path) -> None:
    file = tmp_path / "image.safetensors"
    assert load_or_train(file, 5, lambda: WEIGHTS)["weight"].equal(WEIGHTS["weight"])
    assert load_or_train(file, 5, refuse)["weight"].equal(WEIGHTS["weight"])
    assert [each.name for each in tmp_path.iterdir()] == ["image.safetensors"]


def test_weights_of_another_length_of_training_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "image.safetensors"
    load_or_train(file, 5, lambda: WEIGHTS)
    with pytest.raises(TrainingDataError, match=r"trained for 5 steps, not 6: remove it, or use another folder"):
        load_or_train(file, 6, refuse)


def test_weights_from_elsewhere_are_used_as_they_are(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "image.safetensors")
    assert load_or_train(tmp_path / "image.safetensors", 7, refuse)["weight"].equal(WEIGHTS["weight"])


def test_others_can_read_the_file(tmp_path: Path) -> None:
    save_weights({"weight": WEIGHTS["weight"].T}, tmp_path / "text.safetensors")  # not contiguous
    assert (tmp_path / "text.safetensors").stat().st_mode & 0o777 == 0o644
