from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from clip_vectorizer.training.knowledge import KEYWORD, NAME, ConceptText
from clip_vectorizer.training.text_space import KnownTexts, TextSpace, collect_texts, fit_text_space, whiten
from clip_vectorizer.vectors import Vectors
from tests.training.word_vectors import compute_word_vectors

KNOWLEDGE = [
    [ConceptText(name, "en", NAME), *(ConceptText(word, "en", KEYWORD) for word in words)]
    for name, words in {
        "red apple": ("fruit", "sweet", "red apple"),
        "lemon": ("fruit", "sour"),
        "car": ("vehicle", "road"),
        "bus": ("vehicle", "ticket"),
    }.items()
]


def embed(texts: Sequence[str]) -> Vectors:
    return compute_word_vectors(texts).astype(np.float32)


@pytest.fixture(scope="module")
def known() -> KnownTexts:
    return collect_texts(KNOWLEDGE, embed)


def test_a_text_has_its_highest_weight_for_each_of_its_concepts(known: KnownTexts) -> None:
    owners = dict(zip(known.texts, known.owners_tn.to_dense().tolist(), strict=True))
    assert owners["red apple"] == [4, 0, 0, 0]  # a name counts more than a keyword
    assert owners["fruit"] == [1, 1, 0, 0]
    assert len(known.texts) == len(set(known.texts)) == 10


def test_texts_are_nearest_to_the_prototypes_of_their_concepts(known: KnownTexts) -> None:
    space = fit_text_space(known, 16)
    cosines = space.project(known.vectors_te) @ known.compute_prototypes(space).T
    owners = known.owners_tn.to_dense() > 0
    assert cosines[owners].min() > cosines[~owners].max()


def test_projections_and_prototypes_are_unit_rows(known: KnownTexts) -> None:
    space = TextSpace(known.vectors_te.mean(0), torch.randn(384, 16))
    for rows in (space.project(known.vectors_te), known.compute_prototypes(space)):
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)))


def test_a_fit_is_the_same_for_a_seed(known: KnownTexts) -> None:
    torch.testing.assert_close(fit_text_space(known, 8).map_ed, fit_text_space(known, 8).map_ed, rtol=0, atol=0)


def test_whitening_halves_the_exponent_of_variances() -> None:
    torch.manual_seed(0)
    rows = F.normalize(torch.randn(5000, 3), dim=1) * torch.tensor([4.0, 1.0, 0.25])
    spread = ((rows - rows.mean(0)) @ whiten(rows - rows.mean(0), 3)).std(0)
    torch.testing.assert_close(spread / spread[0], torch.tensor([1.0, 0.5, 0.25]), rtol=0.05, atol=0)
