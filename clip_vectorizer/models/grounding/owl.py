"""OWL-ViT and OWLv2 (Minderer et al. 2022, 2023): regions with vectors before any phrase, so they can be stored.

The logit of a phrase p and a region o is (o . p + shift(o)) * scale(o), of unit vectors; shift and scale are read
from the region alone. One pass over the picture serves any number of phrases.

N regions · P phrases · D dimensions
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from clip_vectorizer.boxes import ScoreArray, suppress
from clip_vectorizer.models.device_errors import detect_lost_device
from clip_vectorizer.models.grounding.detectors import Detector, enlarge_tiny, select_best, to_corners
from clip_vectorizer.models.grounding.grounder import GrounderInfo, Groundings, Regions
from clip_vectorizer.models.grounding.scores import sigmoid
from clip_vectorizer.models.pauses import run_break_work
from clip_vectorizer.models.transformers_models import read_rows
from clip_vectorizer.vectors import Vectors, ensemble

MOST_OVERLAP = 0.7  # of two proposals
CANDIDATES = 500  # boxes that are compared with each other
PASS_TEXTS = 64
EPSILON = 1e-6  # added to lengths, as transformers' class head does


@dataclass(frozen=True, slots=True)
class OwlRegions:
    """Every patch's box of one picture. `logits` of a phrase: (cosine + shift) * scale."""

    regions: Regions
    shift_n: ScoreArray
    scale_n: ScoreArray


class OwlGrounder:
    def __init__(self, detector: Detector, own_vectors: bool = False) -> None:
        """`own_vectors`: the sidecar's model is this one, so regions and texts of the collection are of one space."""
        self._detector, self._own_vectors = detector, own_vectors
        self._base = getattr(detector.model, detector.kind)

    @property
    def info(self) -> GrounderInfo:
        return GrounderInfo(self._detector.name, self._detector.revision, fused=False, own_vectors=self._own_vectors)

    def propose(self, image: Image.Image, limit: int) -> Regions:
        """Return boxes of high objectness; OWL-ViT has none, and gets the probability at a cosine of 0."""
        regions = self.read(image).regions
        order = np.argsort(-regions.objectness_n, kind="stable")[:CANDIDATES]
        kept = order[suppress(regions.boxes_n4[order], regions.objectness_n[order], MOST_OVERLAP)][:limit]
        assert regions.vectors_nd is not None
        return Regions(regions.boxes_n4[kept], regions.objectness_n[kept], regions.vectors_nd[kept])

    def ground(self, image: Image.Image, phrases: Sequence[Sequence[str]]) -> Groundings:
        """Return the best regions against all phrases; a phrase's vector is the mean of its prompts'."""
        found = self.read(image)
        assert found.regions.vectors_nd is not None
        rows_nd = self.encode_texts([prompt for prompts in phrases for prompt in prompts])
        ends = np.cumsum([len(prompts) for prompts in phrases])[:-1]
        phrases_pd = np.stack([ensemble(prompts_pd) for prompts_pd in np.split(rows_nd, ends)])
        cosines_pn = phrases_pd @ found.regions.vectors_nd.T
        probabilities_pn = sigmoid((cosines_pn + found.shift_n) * found.scale_n)
        return select_best(Groundings(found.regions, cosines_pn, probabilities_pn, self._find_cut(phrases)))

    def read(self, image: Image.Image) -> OwlRegions:
        """Return all boxes of a picture, by one pass."""
        model = self._detector.model
        with torch.inference_mode(), detect_lost_device(self._detector.device):
            pixels = self._detector.processor.image_processor(images=enlarge_tiny(image), return_tensors="pt")
            map_1hwc, _ = model.image_embedder(pixels.pixel_values.to(self._detector.device))
            features_1nc = map_1hwc.flatten(1, 2)
            middles_n4 = model.box_predictor(features_1nc, map_1hwc)[0]
            head = model.class_head
            shift_n, scale_n = head.logit_shift(features_1nc)[0, :, 0], head.elu(head.logit_scale(features_1nc)) + 1
            vectors_nd = normalise(head.dense0(features_1nc)[0])
            regions = Regions(
                to_corners(self._undo_padding(middles_n4, *image.size)),
                self._rate(features_1nc, shift_n, scale_n[0, :, 0]).float().cpu().numpy(),
                vectors_nd.float().cpu().numpy(),
            )
            return OwlRegions(regions, shift_n.cpu().numpy(), scale_n[0, :, 0].cpu().numpy())

    def _rate(self, features_1nc: Tensor, shift_n: Tensor, scale_n: Tensor) -> Tensor:
        if hasattr(self._detector.model, "objectness_predictor"):
            logits_n: Tensor = self._detector.model.objectness_predictor(features_1nc)[0]
            return logits_n.sigmoid()
        return (shift_n * scale_n).sigmoid()

    def _undo_padding(self, boxes_n4: Tensor, width: int, height: int) -> Tensor:
        """Return shares of the picture: OWLv2 sees it padded to a square, at its right or its bottom."""
        if not getattr(self._detector.processor.image_processor, "do_pad", False):
            return boxes_n4
        longer = max(width, height)
        return boxes_n4 * torch.tensor([longer / width, longer / height] * 2, device=boxes_n4.device)

    def encode_texts(self, prompts: Sequence[str]) -> Vectors:
        """Return (N, D) unit rows."""
        passes = []
        for start in range(0, len(prompts), PASS_TEXTS):
            passes.append(self._encode_pass(prompts[start : start + PASS_TEXTS]))
            run_break_work()
        return np.concatenate(passes)

    def _encode_pass(self, prompts: Sequence[str]) -> Vectors:
        with torch.inference_mode(), detect_lost_device(self._detector.device):
            tokens = self._tokenize(prompts).to(self._detector.device)
            rows_nd = read_rows(self._base.get_text_features(**tokens))
            vectors: Vectors = normalise(rows_nd).float().cpu().numpy()
            return vectors

    @property
    def context(self) -> int:
        """Tokens that are read of a text."""
        return int(self._base.config.text_config.max_position_embeddings)

    def _tokenize(self, prompts: Sequence[str]) -> Any:
        tokenizer = self._detector.processor.tokenizer
        tokens = tokenizer(
            list(prompts), padding="max_length", truncation=True, max_length=self.context, return_tensors="pt"
        )
        return type(tokens)({name: tokens[name] for name in ("input_ids", "attention_mask")})

    def _find_cut(self, phrases: Sequence[Sequence[str]]) -> dict[int, int]:
        tokenizer, most = self._detector.processor.tokenizer, self.context
        lengths = [max(map(len, tokenizer(list(prompts), verbose=False).input_ids)) for prompts in phrases]
        return {index: most for index, length in enumerate(lengths) if length > most}


def normalise(rows_nd: Tensor) -> Tensor:
    lengths_n1: Tensor = torch.linalg.norm(rows_nd, dim=-1, keepdim=True)
    return rows_nd / (lengths_n1 + EPSILON)
