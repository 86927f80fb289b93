"""Phrases of a CLIP against regions of the same space: S = O P^T, and a probability for each pair.

N regions · P phrases · B background prompts · D dimensions
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from clip_vectorizer.models.encoder import Encoder, PreparedText
from clip_vectorizer.models.grounding.grounder import Groundings, PhraseScores, Regions, RegionVectors
from clip_vectorizer.models.pauses import run_break_work
from clip_vectorizer.phrase_probability import BACKGROUND, calibrate
from clip_vectorizer.vectors import Vectors, ensemble

PASS_TEXTS = 64


class PhraseScorer:
    """Compares phrases with regions by the text tower of an encoder, which must not run elsewhere meanwhile.

    A RegionScorer for the vectors of any model; it needs no objectness.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @cached_property
    def _background_bd(self) -> Vectors:
        return encode_texts(self._encoder, [self._encoder.prepare_text(prompt) for prompt in BACKGROUND])

    def compare(self, regions: Regions, phrases: Sequence[Sequence[str]]) -> Groundings:
        """`regions` must have vectors; a phrase's vector is the mean of its prompts'."""
        assert regions.vectors_nd is not None
        scores = self._score(regions.vectors_nd, phrases)
        return Groundings(regions, scores.similarities_pn, scores.probabilities_pn, scores.truncated)

    def score(self, regions: RegionVectors, phrases: Sequence[Sequence[str]]) -> PhraseScores:
        """See RegionScorer."""
        return self._score(regions.vectors_nd, phrases)

    def _score(self, vectors_nd: Vectors, phrases: Sequence[Sequence[str]]) -> PhraseScores:
        prepared = self.prepare(phrases)
        similarities_pn = self.encode(prepared) @ vectors_nd.T
        background_bn, info = self._background_bd @ vectors_nd.T, self._encoder.info
        probabilities_pn = calibrate(similarities_pn, background_bn, info.logit_scale, info.logit_bias)
        return PhraseScores(similarities_pn, probabilities_pn, find_cut_phrases(prepared))

    def prepare(self, phrases: Sequence[Sequence[str]]) -> list[list[PreparedText]]:
        """The tokens of each phrase's prompts."""
        return [[self._encoder.prepare_text(prompt) for prompt in prompts] for prompts in phrases]

    def encode(self, prepared: Sequence[Sequence[PreparedText]]) -> Vectors:
        """(P, D): a unit vector for each phrase from its prompts."""
        rows_nd = encode_texts(self._encoder, [text for prompts in prepared for text in prompts])
        ends = np.cumsum([len(prompts) for prompts in prepared])
        return np.stack([ensemble(prompts_pd) for prompts_pd in np.split(rows_nd, ends[:-1])])


def encode_texts(encoder: Encoder, texts: Sequence[PreparedText]) -> Vectors:
    passes = []
    for start in range(0, len(texts), PASS_TEXTS):
        passes.append(encoder.encode_texts(texts[start : start + PASS_TEXTS]))
        run_break_work()
    return np.concatenate(passes)


def find_cut_phrases(prepared: Sequence[Sequence[PreparedText]]) -> dict[int, int]:
    """The phrases of which a prompt was cut: number of tokens that the model reads, by index."""
    pairs = enumerate(prepared)
    return {index: len(text.ids) for index, prompts in pairs for text in prompts if text.cut}
