"""Gradients of a large batch on a device that holds only a part of it, with all of the batch as negatives.

Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup": embed every chunk without
a graph, differentiate the loss by the embeddings, then embed each chunk again and continue its part of the gradient.

B batch · S side · T tokens · D dimensions
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from clip_vectorizer.training.pair_losses import PairLoss

EmbedFunction = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class TowerInput:
    """What one tower makes of a batch. A frozen tower gets no gradient, and is run once."""

    embed: EmbedFunction  # (B, ...) to (B, D) unit rows
    items: Tensor
    is_frozen: bool = False


def compute_gradients(images: TowerInput, texts: TowerInput, chunk: int, loss: PairLoss) -> Tensor:
    """Add the gradients of `loss` to all weights; return the loss. At most `chunk` items are in a tower at a time.

    Equal to one pass over the whole batch, except for batch normalisation, which sees chunks.
    """
    if chunk >= len(images.items):
        total = loss(embed_whole(images), embed_whole(texts))
        torch.autograd.backward(total)
        return total.detach()
    passes = [ChunkedPass(each, chunk) for each in (images, texts)]
    rows = [each.embed_all() for each in passes]
    total = loss(*rows)
    torch.autograd.backward(total)
    for each in passes:
        each.continue_gradients()
    return total.detach()


def embed_whole(tower: TowerInput) -> Tensor:
    with torch.set_grad_enabled(not tower.is_frozen):
        return tower.embed(tower.items)


class ChunkedPass:
    """Both passes of one tower over the chunks of a batch; dropout draws the same numbers in both."""

    def __init__(self, tower: TowerInput, chunk: int) -> None:
        self._tower, self._chunk = tower, chunk
        self._states: list[RandomState] = []
        self._rows_bd = torch.empty(0)

    def embed_all(self) -> Tensor:
        """Return (B, D), a leaf whose gradient the loss fills."""
        rows = []
        with torch.no_grad():
            for part in torch.split(self._tower.items, self._chunk):
                self._states.append(RandomState.capture(part.device))
                rows.append(self._tower.embed(part))
        self._rows_bd = torch.cat(rows).requires_grad_(not self._tower.is_frozen)
        return self._rows_bd

    def continue_gradients(self) -> None:
        """Continue the gradient of the rows into the weights."""
        if self._tower.is_frozen:
            return
        assert self._rows_bd.grad is not None
        gradients = torch.split(self._rows_bd.grad, self._chunk)
        for part, state, gradient in zip(
            torch.split(self._tower.items, self._chunk), self._states, gradients, strict=True
        ):
            state.restore(part.device)
            torch.autograd.backward(self._tower.embed(part), gradient)


@dataclass(frozen=True, slots=True)
class RandomState:
    """torch's random numbers of the CPU and of one CUDA device."""

    cpu: Tensor
    cuda: Tensor | None

    @classmethod
    def capture(cls, device: torch.device) -> "RandomState":
        return cls(torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None)

    def restore(self, device: torch.device) -> None:
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, device)
