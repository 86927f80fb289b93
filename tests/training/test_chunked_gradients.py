"""Gradients by chunks against those of the whole batch, on towers in miniature."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip_vectorizer.training.chunked_gradients import TowerInput, compute_gradients
from clip_vectorizer.training.pair_losses import softmax_loss

ITEMS = 10


class MiniatureTower(nn.Module):
    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Dropout(dropout), nn.Linear(16, 4))
        self.largest = 0

    def forward(self, items: Tensor) -> Tensor:
        self.largest = max(self.largest, len(items))
        return F.normalize(self.layers(items), dim=-1)


class Pair:
    """Two towers with a temperature, and a batch."""

    def __init__(self, dropout: float = 0.0, frozen: bool = False) -> None:
        torch.manual_seed(1)
        self.images, self.texts = MiniatureTower(dropout), MiniatureTower(dropout)
        self.images.requires_grad_(not frozen)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.inputs = (
            TowerInput(self.images, torch.randn(ITEMS, 6), frozen),
            TowerInput(self.texts, torch.randn(ITEMS, 6)),
        )

    def loss(self, images: Tensor, texts: Tensor) -> Tensor:
        return softmax_loss(images, texts, self.scale.exp())

    def weights(self) -> Iterator[nn.Parameter]:
        yield from self.images.parameters()
        yield from self.texts.parameters()
        yield self.scale


@pytest.mark.parametrize("chunk", [1, 3, 5, 9])
@pytest.mark.parametrize("frozen", [False, True])
def test_chunks_give_the_gradients_of_the_whole_batch(chunk: int, frozen: bool) -> None:
    whole, chunked = Pair(frozen=frozen), Pair(frozen=frozen)
    expected = compute_gradients(*whole.inputs, ITEMS, whole.loss)
    loss = compute_gradients(*chunked.inputs, chunk, chunked.loss)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=0)
    for one, other in zip(whole.weights(), chunked.weights(), strict=True):
        assert (one.grad is None) == (not one.requires_grad)
        if one.grad is not None:
            assert other.grad is not None and one.grad.abs().max() > 0
            torch.testing.assert_close(other.grad, one.grad, atol=1e-5, rtol=0)
    assert (whole.texts.largest, chunked.texts.largest) == (ITEMS, chunk)


def test_both_passes_drop_the_same_units() -> None:
    direct, chunked = Pair(dropout=0.5), Pair(dropout=0.5)
    torch.manual_seed(2)
    rows = [torch.cat([each.embed(part) for part in torch.split(each.items, 4)]) for each in direct.inputs]
    torch.autograd.backward(direct.loss(*rows))
    drawn = torch.rand(1)
    torch.manual_seed(2)
    compute_gradients(*chunked.inputs, 4, chunked.loss)
    assert torch.equal(torch.rand(1), drawn)  # the second pass leaves the random numbers where the first did
    for one, other in zip(direct.weights(), chunked.weights(), strict=True):
        assert one.grad is not None and other.grad is not None
        torch.testing.assert_close(other.grad, one.grad, atol=1e-5, rtol=0)
