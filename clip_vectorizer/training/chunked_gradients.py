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
from clip_vectorizer.training.training_group import ALONE, TrainingGroup

EmbedFunction = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class TowerInput:
    """What one tower makes of a batch. A frozen tower gets no gradient, and is run once."""

    embed: EmbedFunction  # (B, ...) to (B, D) unit rows
    items: Tensor
    is_frozen: bool = False


def compute_gradients(
    images: TowerInput, texts: TowerInput, chunk: int, loss: PairLoss, group: TrainingGroup = ALONE
) -> Tensor:
    """Add the gradients of `loss` to all weights; return the loss. At most `chunk` items are in a tower at a time.

    Equal to one pass over the whole batch, except for batch normalisation, which sees chunks. With several processes
    the loss is that of the batch of all; the gradients of the towers are this process's part of the sum over all.
    """
    passes = [ChunkedPass(each, chunk) if chunk < len(each.items) else WholePass(each) for each in (images, texts)]
    gathered = [group.gather_rows(each.embed_all()) for each in passes]
    leaves = [
        rows.requires_grad_(not tower.is_frozen) for (rows, _), tower in zip(gathered, (images, texts), strict=True)
    ]
    total = loss(*leaves)
    torch.autograd.backward(total)
    for each, leaf, (_, own) in zip(passes, leaves, gathered, strict=True):
        if leaf.grad is not None and own.stop > own.start:
            each.continue_gradients(leaf.grad[own])
    return total.detach()


class WholePass:
    """One pass of a tower over all of its items, with a graph."""

    def __init__(self, tower: TowerInput) -> None:
        self._tower = tower
        self._rows_bd = torch.zeros(0, 0)

    def embed_all(self) -> Tensor:
        """Return (B, D) without a graph; (0, 0) without items."""
        if len(self._tower.items):
            with torch.set_grad_enabled(not self._tower.is_frozen):
                self._rows_bd = self._tower.embed(self._tower.items)
        return self._rows_bd.detach().to(self._tower.items.device)

    def continue_gradients(self, gradient_bd: Tensor) -> None:
        """Continue the gradient of the rows into the weights."""
        torch.autograd.backward(self._rows_bd, gradient_bd)


class ChunkedPass:
    """Both passes of one tower over the chunks of a batch; dropout draws the same numbers in both."""

    def __init__(self, tower: TowerInput, chunk: int) -> None:
        self._tower, self._chunk = tower, chunk
        self._states: list[RandomState] = []

    def embed_all(self) -> Tensor:
        """Return (B, D) without a graph."""
        rows = []
        with torch.no_grad():
            for part in torch.split(self._tower.items, self._chunk):
                self._states.append(RandomState.capture(part.device))
                rows.append(self._tower.embed(part))
        return torch.cat(rows)

    def continue_gradients(self, gradient_bd: Tensor) -> None:
        """Continue the gradient of the rows into the weights."""
        gradients = torch.split(gradient_bd, self._chunk)
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
