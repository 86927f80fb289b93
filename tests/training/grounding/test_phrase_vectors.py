"""Phrases are encoded once: a second load and an export read what was computed first."""

from pathlib import Path

import numpy as np

from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.grounding.captions import Thing, name_things
from clip_vectorizer.training.grounding.phrase_vectors import PhraseVectors, encode_in_passes
from tests.fakes import HashEncoder

CONCEPTS = [Concept("1f989", "owl", "猫头鹰", (), ()), Concept("1f34e", "red apple", "红苹果", (), ())]


def test_names_as_captions_have_them_are_those_that_were_encoded_first(tmp_path: Path) -> None:
    encoder = HashEncoder()
    PhraseVectors.load(tmp_path / "phrases.npz", encoder, CONCEPTS)
    phrases = PhraseVectors.load(tmp_path / "phrases.npz", encoder, CONCEPTS)
    for language in ("en", "zh"):
        names = [name_things(Thing(getattr(each, f"name_{language}"), 1), language) for each in CONCEPTS]
        assert np.array_equal(phrases.caption_names(language), encode_in_passes(encoder, names))
