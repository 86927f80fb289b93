"""Regions from the patches of a CLIP's ViT: one pass, and the parts of each phrase's map that stand out. Experimental.

Patches of plain CLIP weights show roughly where a thing is; for boxes, crops through the image tower (`tiles`) are the
safer reading, at many times the cost. Convolutional towers are refused.

h, w rows and columns of patches · N regions · P phrases · D dimensions
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from clip_vectorizer.boxes import ScoreArray, suppress
from clip_vectorizer.models.device_errors import detect_lost_device
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.components import Map, Mask, bound, find_parts
from clip_vectorizer.models.grounding.dense_towers import DenseTower
from clip_vectorizer.models.grounding.grounder import GrounderInfo, Groundings, Regions
from clip_vectorizer.models.grounding.phrases import PhraseScorer
from clip_vectorizer.models.grounding.scores import measure_contrast
from clip_vectorizer.models.preprocess import TorchPreparer
from clip_vectorizer.vectors import Vectors, unit

NAME, VERSION = "dense", 1
LONGEST = 3.0  # sides of the picture beside its shorter one, which is the model's input side: larger ones are squashed
ENLARGED = 4  # cells of a map along a patch: boxes end between patches
MOST_OVERLAP = 0.7  # of two regions


class DenseGrounder:
    """Raises ModelUnavailable for an encoder whose image tower is no plain ViT."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self._tower, self._scorer = encoder, DenseTower(encoder), PhraseScorer(encoder)
        preparer = encoder.preparer
        assert isinstance(preparer, TorchPreparer)
        self._recipe = preparer.recipe

    @property
    def info(self) -> GrounderInfo:
        return GrounderInfo(NAME, f"{self._encoder.info.revision}-{NAME}-{VERSION}", fused=False)

    def propose(self, image: Image.Image, limit: int) -> Regions:
        """Return the parts of the picture that differ most from the rest of it."""
        features_hwd = self._read(image)
        regions = build_regions(features_hwd, [self._measure_contrast(features_hwd)])
        return Regions(regions.boxes_n4[:limit], regions.objectness_n[:limit], cut(regions.vectors_nd, limit))

    def ground(self, image: Image.Image, phrases: Sequence[Sequence[str]]) -> Groundings:
        """Return the parts that stand out in the map of any phrase, against all phrases.

        A region's vector is the mean over its patches, so a similarity is that of the phrase to the whole part.
        """
        features_hwd = self._read(image)
        prepared = [[self._encoder.prepare_text(prompt) for prompt in prompts] for prompts in phrases]
        maps_phw = np.einsum("pd,hwd->phw", self._scorer.encode(prepared), features_hwd)
        return self._scorer.compare(build_regions(features_hwd, [enlarge_map(each) for each in maps_phw]), phrases)

    def _read(self, image: Image.Image) -> Vectors:
        """Return (h, w, D) unit rows."""
        device = torch.device(self._encoder.info.device)
        with torch.inference_mode(), detect_lost_device(device):
            features_hwd: Vectors = self._tower.read(self._prepare(image).to(device)).cpu().numpy()
            return features_hwd

    def _prepare(self, image: Image.Image) -> Tensor:
        """Return (1, 3, H, W), normalised: the shorter side is the model's, both are multiples of a patch."""
        patch, shorter = self._tower.patch_side, min(image.size)
        shares = (min(LONGEST, side / shorter) for side in image.size)
        wide, high = (max(1, round(self._recipe.size * share / patch)) * patch for share in shares)
        resized = np.array(image.resize((wide, high), Image.Resampling.BICUBIC))
        pixels_hw3 = (resized / 255.0 - self._recipe.mean) / self._recipe.std
        dtype = torch.bfloat16 if self._encoder.info.precision == "bf16" else torch.float32
        return torch.from_numpy(pixels_hw3).permute(2, 0, 1)[None].to(dtype)

    def _measure_contrast(self, features_hwd: Vectors) -> Map:
        flat_nd = features_hwd.reshape(-1, features_hwd.shape[-1])
        return enlarge_map(measure_contrast(flat_nd).reshape(features_hwd.shape[:2]))


def build_regions(features_hwd: Vectors, maps: Sequence[Map]) -> Regions:
    """Return the parts of all maps, and the whole picture where no map has any; the most unlike the rest first."""
    parts = [mask for values in maps for mask in find_parts(values)]
    if not parts:
        parts = [np.ones(maps[0].shape, dtype=np.bool_)]
    boxes_n4 = np.array([bound(mask) for mask in parts], dtype=np.float32)
    vectors_nd = unit(np.stack([average_patches(features_hwd, mask) for mask in parts]))
    whole_d = unit(features_hwd.mean(axis=(0, 1)))
    objectness_n: ScoreArray = ((1 - vectors_nd @ whole_d) / 2).clip(0, 1).astype(np.float32)
    kept = suppress(boxes_n4, objectness_n, MOST_OVERLAP)
    return Regions(boxes_n4[kept], objectness_n[kept], vectors_nd[kept])


def average_patches(features_hwd: Vectors, mask_hw: Mask) -> Vectors:
    """Return (D,): the mean of the patches, each weighed by how many cells of an enlarged map it has in the mask."""
    high, wide, _ = features_hwd.shape
    weights_hw = mask_hw.reshape(high, mask_hw.shape[0] // high, wide, mask_hw.shape[1] // wide).mean(axis=(1, 3))
    mean_d: Vectors = np.einsum("hw,hwd->d", weights_hw.astype(np.float32), features_hwd)
    return mean_d


def enlarge_map(values_hw: Map) -> Map:
    """Return ENLARGED times as many rows and columns, by bilinear interpolation."""
    some = torch.from_numpy(np.ascontiguousarray(values_hw))[None, None]
    larger: Map = F.interpolate(some, scale_factor=ENLARGED, mode="bilinear", align_corners=False)[0, 0].numpy()
    return larger


def cut(vectors_nd: Vectors | None, limit: int) -> Vectors | None:
    return None if vectors_nd is None else vectors_nd[:limit]
