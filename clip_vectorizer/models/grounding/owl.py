"""OWL-ViT and OWLv2 as grounders: regions with vectors before any phrase, so they can be stored.

N regions · P phrases · D dimensions
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from clip_vectorizer.boxes import BoxArray, areas, suppress
from clip_vectorizer.models.grounding.answers import enlarge_tiny, select_best, to_corners
from clip_vectorizer.models.grounding.grounder import GrounderInfo, Groundings, Regions
from clip_vectorizer.models.owl import OwlPatches, OwlTowers
from clip_vectorizer.phrase_probability import sigmoid
from clip_vectorizer.vectors import Vectors, ensemble

MOST_OVERLAP = 0.7  # of two proposals
CANDIDATES = 500  # boxes that are compared with each other


class OwlGrounder:
    def __init__(self, towers: OwlTowers, own_vectors: bool = False) -> None:
        """`own_vectors`: the sidecar's model is this one, so regions and texts of a collection are of one space."""
        self._towers, self._own_vectors = towers, own_vectors

    @property
    def info(self) -> GrounderInfo:
        detector = self._towers.detector
        return GrounderInfo(detector.name, detector.revision, fused=False, own_vectors=self._own_vectors)

    def propose(self, image: Image.Image, limit: int) -> Regions:
        """Return the boxes of the highest objectness that overlap little, none in the padding."""
        regions, _ = self._read(image)
        assert regions.vectors_nd is not None
        order = np.argsort(-regions.objectness_n, kind="stable")
        order = order[areas(regions.boxes_n4[order]) > 0][:CANDIDATES]
        kept = order[suppress(regions.boxes_n4[order], regions.objectness_n[order], MOST_OVERLAP)][:limit]
        return Regions(regions.boxes_n4[kept], regions.objectness_n[kept], regions.vectors_nd[kept])

    def ground(self, image: Image.Image, phrases: Sequence[Sequence[str]]) -> Groundings:
        """Return the best regions against all phrases; a phrase's vector is the mean of its prompts'.

        Similarities are cosines, probabilities the model's own: sigmoid of (cosine + shift) * scale.
        """
        regions, patches = self._read(image)
        cosines_pn = self._encode(phrases) @ patches.vectors_nd.T
        probabilities_pn = sigmoid((cosines_pn + patches.shift_n) * patches.scale_n)
        return select_best(Groundings(regions, cosines_pn, probabilities_pn, self._find_cut(phrases)))

    def _read(self, image: Image.Image) -> tuple[Regions, OwlPatches]:
        patches = self._towers.read(enlarge_tiny(image))
        boxes_n4 = self._place(patches.middles_n4, *image.size)
        return Regions(boxes_n4, patches.objectness_n, patches.vectors_nd), patches

    def _place(self, middles_n4: BoxArray, width: int, height: int) -> BoxArray:
        """Return corners as shares of the picture, which OWLv2 sees at the left top of a square of its longer side."""
        longer = max(width, height)
        stretch = np.array([longer / width, longer / height] * 2, np.float32) if self._towers.pads else np.float32(1)
        return to_corners(torch.from_numpy(middles_n4 * stretch))

    def _encode(self, phrases: Sequence[Sequence[str]]) -> Vectors:
        rows_nd = self._towers.read_texts([prompt for prompts in phrases for prompt in prompts])
        ends = np.cumsum([len(prompts) for prompts in phrases])[:-1]
        return np.stack([ensemble(prompts_pd) for prompts_pd in np.split(rows_nd, ends)])

    def _find_cut(self, phrases: Sequence[Sequence[str]]) -> dict[int, int]:
        lengths = [max(map(self._towers.count_tokens, prompts)) for prompts in phrases]
        return {index: self._towers.context for index, each in enumerate(lengths) if each > self._towers.context}
