import logging
import random
from pathlib import Path

import pytest
import torch

from clip_vectorizer.training.contrastive import WeightAverage, build_optimizer, learning_rate
from clip_vectorizer.training.tower_training import StepLoss, TowerStage, train_tower

STAGE = TowerStage(steps=6, peak=0.1, warmup=2, checkpoint_steps=2)


class Regression:
    """Fits one weight to 3 with noise; records its steps; is interrupted before step `most`."""

    def __init__(self, most: int = 100) -> None:
        self.model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.model.weight)
        self.steps: list[int] = []
        self._most = most

    def compute_loss(self, step: int, rng: random.Random) -> StepLoss:
        if step >= self._most:
            raise KeyboardInterrupt
        self.steps.append(step)
        noise = rng.random() + torch.rand(()).item()
        apart = (self.model.weight - 3 - noise).square().sum()
        return StepLoss(apart, {"apart": apart})

    def train(self, file: Path, stage: TowerStage = STAGE) -> torch.Tensor:
        return train_tower("line", self.model, stage, file, self.compute_loss)["weight"]


def test_training_moves_the_weights_and_returns_their_average(tmp_path: Path) -> None:
    line = Regression()
    averaged = line.train(tmp_path / "line.checkpoint")
    assert line.steps == [0, 1, 2, 3, 4, 5]
    assert 0 < averaged.item() < line.model.weight.item()


def test_a_training_is_the_same_for_a_seed(tmp_path: Path) -> None:
    first, second = (Regression().train(tmp_path / name) for name in ("a", "b"))
    assert first.equal(second)


def test_an_interrupted_training_continues_from_its_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "line.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        Regression(most=5).train(file)
    kept = file.read_bytes()
    rest = Regression()
    averaged = rest.train(file)
    assert rest.steps == [4, 5]
    file.write_bytes(kept)
    assert Regression().train(file).equal(averaged)


def test_a_finished_training_is_returned_without_a_step(tmp_path: Path) -> None:
    averaged = Regression().train(tmp_path / "line.checkpoint")
    again = Regression()
    assert again.train(tmp_path / "line.checkpoint").equal(averaged)
    assert again.steps == []


def test_the_log_has_the_mean_of_each_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Regression().train(tmp_path / "line.checkpoint", TowerStage(steps=100, peak=0.1, warmup=2))
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith("line step 50/100: apart ")


def test_the_average_follows_the_weights() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, decay=0.9)
    with torch.no_grad():
        model.weight.fill_(100.0)
    for step in range(200):
        average.update(model, step)
    assert average.state["weight"].item() == pytest.approx(100.0, rel=1e-3)


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [learning_rate(step, steps=100, warmup=10, peak=1.0) for step in range(100)]
    assert rates[9] == max(rates) == 1.0
    assert rates[-1] < 0.001


def test_gains_biases_and_frozen_weights_do_not_decay() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3), torch.nn.Linear(3, 1))
    model[2].requires_grad_(False)
    decaying, rest = build_optimizer(model, 0.1, 0.05).param_groups
    assert (decaying["weight_decay"], rest["weight_decay"]) == (0.05, 0.0)
    assert [tuple(weight.shape) for weight in decaying["params"]] == [(3, 2)]
    assert len(rest["params"]) == 3
