"""The space of the bundled model: a linear map of e5's vectors in which what is written about a concept is near it.

T texts · N concepts · E dimensions of e5 · D dimensions of the model
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from clip_vectorizer.training.knowledge import GLOSS, GROUP, KEYWORD, KIND, NAME, TAG, ConceptText, Embed

# How much a text counts in the vector of its concept. Definitions and kinds are those of a guessed meaning.
WEIGHTS = {NAME: 4.0, TAG: 1.0, KEYWORD: 1.0, GROUP: 1.0, KIND: 0.4, GLOSS: 0.3}
STEPS = 200  # more steps fit the texts and lose others
BATCH, PEAK, WEIGHT_DECAY, SCALE = 1024, 3e-3, 1e-4, 20.0
WHITENING = 0.5  # exponent: 0 keeps e5's variances, which a few directions dominate; 1 makes them all equal

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TextSpace:
    """A map from e5's vectors."""

    mean_e: Tensor
    map_ed: Tensor

    def project(self, vectors_te: Tensor) -> Tensor:
        """Return (T, D) unit rows from (T, E) rows."""
        return F.normalize((vectors_te - self.mean_e) @ self.map_ed, dim=-1)


@dataclass(frozen=True, slots=True)
class KnownTexts:
    """All texts about concepts: `owners_tn` is sparse, each row has the weight of a text for its concepts."""

    texts: list[str]
    vectors_te: Tensor
    owners_tn: Tensor

    def compute_prototypes(self, space: TextSpace) -> Tensor:
        """Return (N, D) unit rows: the weighted mean of the texts of each concept."""
        return F.normalize(torch.sparse.mm(self.owners_tn.t(), space.project(self.vectors_te)), dim=-1)


def collect_texts(knowledge: Sequence[Sequence[ConceptText]], embed: Embed) -> KnownTexts:
    """Return the distinct texts of all concepts with their vectors. A text of several kinds has its highest weight."""
    weights: dict[tuple[str, int], float] = {}
    for concept, texts in enumerate(knowledge):
        for item in texts:
            key = (item.text, concept)
            weights[key] = max(weights.get(key, 0), WEIGHTS[item.kind])
    rows = {text: row for row, text in enumerate(dict.fromkeys(text for text, _ in weights))}
    places = torch.tensor([[rows[text] for text, _ in weights], [concept for _, concept in weights]])
    shape = (len(rows), len(knowledge))
    owners = torch.sparse_coo_tensor(places, torch.tensor(list(weights.values())), shape, check_invariants=True)
    return KnownTexts(list(rows), torch.from_numpy(embed(list(rows))), owners.coalesce())


def fit_text_space(known: KnownTexts, dimension: int, seed: int = 7) -> TextSpace:
    """Return the map that brings texts nearest to the prototypes of their concepts, from partial whitening on."""
    torch.manual_seed(seed)
    mean_e = known.vectors_te.mean(0)
    space = TextSpace(mean_e, whiten(known.vectors_te - mean_e, dimension).requires_grad_())
    optimizer = torch.optim.AdamW([space.map_ed], lr=PEAK, weight_decay=WEIGHT_DECAY)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = PEAK * (1 - step / STEPS)
        loss = owner_loss(space, known, torch.randint(len(known.texts), (BATCH,)))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    log.info("text space: loss %.3f", loss.item())
    return TextSpace(mean_e, space.map_ed.detach())


def whiten(centred_te: Tensor, dimension: int) -> Tensor:
    """Return (E, D): principal directions, each divided by a power of its standard deviation."""
    values, vectors = torch.linalg.eigh(centred_te.T @ centred_te / len(centred_te))
    deviations = values.flip(0)[:dimension].clamp(min=1e-9).sqrt()
    directions: Tensor = vectors.flip(1)[:, :dimension] * (deviations / deviations[0]) ** -WHITENING
    return directions


def owner_loss(space: TextSpace, known: KnownTexts, chosen_b: Tensor) -> Tensor:
    """Return the mean cross-entropy of chosen texts over all concepts; a text of several counts for each."""
    prototypes = known.compute_prototypes(space)
    logits = SCALE * space.project(known.vectors_te[chosen_b]) @ prototypes.T
    owners = (known.owners_tn.index_select(0, chosen_b).to_dense() > 0).float()
    missed: Tensor = -((logits.log_softmax(1) * owners).sum(1) / owners.sum(1)).mean()
    return missed
