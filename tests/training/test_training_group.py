"""Two processes that train one model, connected by gloo, against one process."""

import os
import signal
import time
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip_vectorizer.errors import InputError, TrainingProcessFailed
from clip_vectorizer.training.chunked_gradients import TowerInput, compute_gradients
from clip_vectorizer.training.pair_losses import sigmoid_loss, softmax_loss
from clip_vectorizer.training.training_group import ALONE, TrainingGroup, choose_device, read_rank
from clip_vectorizer.training.training_processes import open_group

ITEMS = 7  # the parts have three and four
LONE_ITEMS = 1  # the first process has none of them
EXACT = 1e-5


class MiniaturePair(nn.Module):
    """Two towers with a temperature and a bias."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.images, self.texts = nn.Linear(6, 4), nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 4))
        self.scale, self.bias = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(-3.0))

    def softmax(self, images: Tensor, texts: Tensor) -> Tensor:
        return softmax_loss(images, texts, self.scale.exp())

    def sigmoid(self, images: Tensor, texts: Tensor) -> Tensor:
        return sigmoid_loss(images, texts, self.scale.exp(), self.bias)


def learn(group: TrainingGroup, loss: str, chunk: int, items: int) -> tuple[float, dict[str, Tensor]]:
    """The loss and the gradients of a batch of `items` random pairs, of which this process has its part."""
    pair = MiniaturePair()
    random = torch.Generator().manual_seed(items)
    batch = [torch.randn(items, 6, generator=random)[list(group.choose_part(range(items)))] for _ in "it"]
    towers = (lambda rows: F.normalize(pair.images(rows), dim=-1), lambda rows: F.normalize(pair.texts(rows), dim=-1))
    inputs = [TowerInput(tower, part) for tower, part in zip(towers, batch, strict=True)]
    total = compute_gradients(inputs[0], inputs[1], chunk, getattr(pair, loss), group)
    weights = dict(pair.named_parameters())
    group.add_gradients(weights, ("scale", "bias"))
    return total.item(), {name: weight.grad for name, weight in weights.items() if weight.grad is not None}


CASES = [
    (loss, chunk, items) for loss in ("softmax", "sigmoid") for chunk in (2, ITEMS) for items in (ITEMS, LONE_ITEMS)
]


def learn_all(group: TrainingGroup) -> None:
    """What the other process does: the same calls in the same order."""
    for case in CASES:
        group.gather_values(learn(group, *case))


def test_two_processes_have_the_loss_and_the_gradients_of_one() -> None:
    with open_group(2, "cpu", learn_all) as group:
        found = {case: group.gather_values(learn(group, *case)) for case in CASES}
    for case, (own, other) in found.items():
        expected_loss, expected = learn(ALONE, *case)
        for loss, gradients in (own, other):
            assert loss == pytest.approx(expected_loss, abs=EXACT)
            for name, gradient in expected.items():
                torch.testing.assert_close(gradients[name], gradient, atol=EXACT, rtol=0)
        assert all(torch.equal(own[1][name], other[1][name]) for name in expected), "both must stay the same model"
    assert any(gradient.abs().max() > 0.01 for _, gradients in found[CASES[0]] for gradient in gradients.values())


def fail(group: TrainingGroup, way: str) -> None:
    if way == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise InputError("no such file")


@pytest.mark.parametrize(("way", "reason"), [("error", "no such file"), ("killed", "exit code -9")])
def test_a_process_that_fails_ends_the_others_with_its_reason(way: str, reason: str) -> None:
    began = time.monotonic()
    with (
        pytest.raises(TrainingProcessFailed, match=f"process 1 of the training failed, so all of them end: {reason}"),
        open_group(2, "cpu", partial(fail, way=way)) as group,
    ):
        group.gather_values(0)
    assert time.monotonic() - began < 100


def test_the_parts_are_the_whole() -> None:
    parts = [TrainingGroup(rank, 4).choose_part(range(10)) for rank in range(4)]
    assert [at for part in parts for at in part] == list(range(10))


def test_the_processes_of_torchrun_are_recognised() -> None:
    assert read_rank({}) == ALONE
    assert read_rank({"RANK": "1", "WORLD_SIZE": "2"}) == TrainingGroup(1, 2)
    with pytest.raises(InputError, match="start several processes by torchrun"):
        read_rank({"RANK": "one", "WORLD_SIZE": "2"})


def test_torchrun_and_processes_are_not_for_one_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(InputError, match="torchrun has started 2 processes; remove --processes"),
        open_group(2, "cpu", learn_all),
    ):
        pass


def test_each_process_has_a_device() -> None:
    assert choose_device("cuda", 1, 2) == "cuda:1"
    with pytest.raises(InputError, match="use --device cuda, or cpu"):
        choose_device("cuda:0", 1, 2)
