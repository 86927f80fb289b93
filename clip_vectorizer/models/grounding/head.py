"""The trained head of `emoji` as a grounder: one pass proposes boxes, crops of the best ones are embedded by the model.

The head's file has what differs from the model's own weights, and the revision of the model that it was trained on.

N regions · P phrases · D dimensions
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from clip_vectorizer.boxes import BoxArray, ScoreArray, suppress
from clip_vectorizer.models.devices import has_fast_bf16, hash_weights
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.comparison import (
    ALONE,
    BOTH,
    CROPPED,
    UNKNOWN_OBJECTNESS,
    UNRATED,
    Calibration,
    Comparison,
    HeadParts,
)
from clip_vectorizer.models.grounding.grounder import GrounderInfo, Groundings, PhraseScores, Regions, RegionVectors
from clip_vectorizer.models.grounding.network import RegionMaps, RegionNetwork
from clip_vectorizer.models.grounding.phrases import PhraseScorer, find_cut_phrases
from clip_vectorizer.models.pauses import run_break_work
from clip_vectorizer.models.plain import fold_norms
from clip_vectorizer.phrase_probability import sigmoid
from clip_vectorizer.region_crops import cut_region
from clip_vectorizer.vectors import Vectors, unit

NAME = "head"
INPUT_SIDE = 192  # pixels of the longer side of a picture: that of the scenes it learned from
STEP = 32  # sides are multiples of it: the coarsest map of the trunk
MEAN = STD = 0.5  # of every channel of `emoji`
MOST_OVERLAP = 0.5  # of two regions that are proposed without phrases
MOST_PHRASE_OVERLAP = 0.6  # of two regions that are compared with phrases, which suppress further on their own
CONSIDERED = 150  # best places, before suppression
MOST_COMPARED = 16  # best regions of a picture that are compared with phrases
LEAST_OBJECTNESS = 0.25  # of them: of parts and pairs of things, a crop may look more like a phrase than the thing does
FEWEST = 3  # regions that are kept whatever their objectness is


@dataclass(frozen=True, slots=True)
class RegionChoice:
    """Which of all places of a picture become regions."""

    limit: int
    overlap: float  # most of two of them; the one of less objectness goes
    least: float = 0.0  # objectness; those below go, but for the FEWEST best


class HeadGrounder:
    """Runs in bf16, the precision of its training, where the device is fast at it: boxes differ by less than a pixel.

    `crops`: whether regions are also embedded by the encoder, and compared by the mean of both vectors.
    """

    def __init__(self, network: RegionNetwork, encoder: Encoder, parts: HeadParts, crops: bool = True) -> None:
        self._encoder, self._parts, self._crops = encoder, parts, crops
        self._scorer = PhraseScorer(encoder)
        self._info = GrounderInfo(NAME, hash_weights(network), fused=False)
        self._device = torch.device(encoder.info.device)
        self._lowered = self._device.type != "cpu" or has_fast_bf16()
        folded = fold_norms(network).to(memory_format=torch.channels_last)
        self._network = lower_products(folded) if self._lowered else folded

    @property
    def info(self) -> GrounderInfo:
        return self._info

    def propose(self, image: Image.Image, limit: int) -> Regions:
        return self._find(image, RegionChoice(limit, MOST_OVERLAP))

    def _find(self, image: Image.Image, choice: RegionChoice) -> Regions:
        pixels = prepare_scene(image)
        scale = np.array([pixels.shape[3], pixels.shape[2]] * 2, dtype=np.float32)
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._lowered):
            maps = self._network(pixels.to(self._device))
            boxes_n4, objectness_n = choose_best(maps, scale, choice)
            vectors_nd = (
                self._network.embed(maps, torch.from_numpy(boxes_n4 * scale).to(self._device)[None])[0].cpu().numpy()
            )
        return Regions(boxes_n4, objectness_n, vectors_nd)

    def ground(self, image: Image.Image, phrases: Sequence[Sequence[str]]) -> Groundings:
        prepared = self._scorer.prepare(phrases)
        regions, found = self.compare(image, self._scorer.encode(prepared))
        return Groundings(regions, found.cosines_pn, self.estimate(found), find_cut_phrases(prepared))

    def score(self, regions: RegionVectors, phrases: Sequence[Sequence[str]]) -> PhraseScores:
        """See RegionScorer: a stored vector is that of a crop."""
        prepared = self._scorer.prepare(phrases)
        cosines_pn, probabilities_pn = self.compare_stored(regions, self._scorer.encode(prepared))
        return PhraseScores(cosines_pn, probabilities_pn, find_cut_phrases(prepared))

    def compare_stored(self, regions: RegionVectors, phrases_pd: Vectors) -> tuple[ScoreArray, ScoreArray]:
        """Return the cosines and the probabilities, each (P, N), of regions that were found before."""
        unknown_n = np.isnan(regions.objectness_n)
        objectness_n = np.where(unknown_n, np.float32(UNKNOWN_OBJECTNESS), regions.objectness_n)
        found = self.compare_regions(objectness_n, regions.vectors_nd, phrases_pd)
        rated_pn, unrated_pn = (self._calibrate(found, kind) for kind in (CROPPED, UNRATED))
        return found.cosines_pn, np.where(unknown_n, unrated_pn, rated_pn)

    def estimate(self, found: Comparison) -> ScoreArray:
        """Return (P, N): the probability that the region is of the phrase; `found` is what `compare` returned."""
        return self._calibrate(found, self._kind)

    @property
    def calibration(self) -> Calibration:
        """Return the one for what `compare` returns."""
        return self._parts.calibrations[self._kind]

    @property
    def _kind(self) -> str:
        return BOTH if self._crops else ALONE

    def _calibrate(self, found: Comparison, kind: str) -> ScoreArray:
        return sigmoid(self._parts.calibrations[kind].compute_logits(found))

    def compare(self, image: Image.Image, phrases_pd: Vectors) -> tuple[Regions, Comparison]:
        """`phrases_pd`: as `encode_phrases` returns them."""
        regions, vectors_nd = self.embed_best(image)
        return regions, self.compare_regions(regions.objectness_n, vectors_nd, phrases_pd)

    def embed_best(self, image: Image.Image) -> tuple[Regions, Vectors]:
        """Return the regions that are compared with phrases, and the vectors for it: unit rows."""
        regions = self._find(image, RegionChoice(MOST_COMPARED, MOST_PHRASE_OVERLAP, LEAST_OBJECTNESS))
        vectors_nd = regions.vectors_nd
        assert vectors_nd is not None
        if self._crops:
            run_break_work()
            vectors_nd = unit(vectors_nd + self.encode_crops(image, regions.boxes_n4))
        return regions, vectors_nd

    def compare_regions(self, objectness_n: ScoreArray, vectors_nd: Vectors, phrases_pd: Vectors) -> Comparison:
        """Compare unit rows; `vectors_nd`: of the regions, by the head, by crops, or the mean of both."""
        return Comparison(objectness_n, phrases_pd @ vectors_nd.T, self._parts.vocabulary.measure(vectors_nd))

    def encode_phrases(self, phrases: Sequence[Sequence[str]]) -> Vectors:
        """Return (P, D) unit rows: the mean over the prompts of each phrase."""
        return self._scorer.encode(self._scorer.prepare(phrases))

    def encode_crops(self, image: Image.Image, boxes_n4: BoxArray) -> Vectors:
        """Return (N, D) unit rows."""
        crops = [self._encoder.prepare_image(cut_region(image, box)) for box in boxes_n4.tolist()]
        return unit(self._encoder.encode_images(crops))


def lower_products(network: RegionNetwork) -> RegionNetwork:
    """Convert the weights of products to bf16, once; torch's autocast would convert them in each pass."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.to(torch.bfloat16)
    return network


def choose_best(maps: RegionMaps, scale: ScoreArray, choice: RegionChoice) -> tuple[BoxArray, ScoreArray]:
    """Return the boxes and objectness of the best places of one picture."""
    boxes_l4: BoxArray = np.clip(maps.boxes_bl4[0].cpu().numpy() / scale, 0, 1)
    objectness_l = maps.objectness_bl[0].sigmoid().clamp(1e-6, 1 - 1e-6).cpu().numpy()
    best = np.argsort(-objectness_l, kind="stable")[:CONSIDERED]
    kept = best[suppress(boxes_l4[best], objectness_l[best], choice.overlap, choice.limit)]
    enough = max(FEWEST, int((objectness_l[kept] >= choice.least).sum()))
    return boxes_l4[kept[:enough]], objectness_l[kept[:enough]]


def prepare_scene(image: Image.Image) -> Tensor:
    """Return (1, 3, h, w) normalised pixels of an upright RGB picture; sides are rounded to what the trunk takes."""
    scale = INPUT_SIDE / max(image.size)
    wide, high = (max(STEP, round(side * scale / STEP) * STEP) for side in image.size)
    pixels_hw3 = np.array(image.resize((wide, high), Image.Resampling.BICUBIC))
    return ((torch.from_numpy(pixels_hw3).permute(2, 0, 1)[None].float() / 255) - MEAN) / STD
