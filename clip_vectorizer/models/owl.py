"""OWL-ViT and OWLv2 (Minderer et al. 2022, 2023): the patches of a picture as boxes with vectors, and texts.

The logit of a text t and a patch o is (o . t + shift(o)) * scale(o), of unit vectors. Box, shift and scale are read
from the patch alone, so a picture is read once for any number of texts, and patches can be stored before any.

As a model of the sidecar, an image's vector is that of its most object-like patch, as in transformers'
`embed_image_query`: one thing of the picture. Regions are what these models are for.

N items or patches · D dimensions · T tokens
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from clip_vectorizer.boxes import BoxArray, ScoreArray
from clip_vectorizer.models.detectors import Detector, load_detector
from clip_vectorizer.models.device_errors import detect_lost_device
from clip_vectorizer.models.devices import Placement, count_weights
from clip_vectorizer.models.encoder import Encoder, ModelInfo
from clip_vectorizer.models.pauses import run_break_work
from clip_vectorizer.models.preprocess import PixelRecipe
from clip_vectorizer.models.tokens import FolderTokenizer
from clip_vectorizer.models.torch_encoder import TorchEncoder
from clip_vectorizer.models.transformers_models import read_rows
from clip_vectorizer.vectors import Vectors

PASS_TEXTS = 64
EPSILON = 1e-6  # added to lengths, as transformers' class head does


@dataclass(frozen=True, slots=True)
class OwlPatches:
    """Every patch of one picture."""

    middles_n4: BoxArray  # x, y of the middle, width, height: shares of the picture as the model sees it
    vectors_nd: Vectors  # unit rows
    objectness_n: ScoreArray  # 0..1
    shift_n: ScoreArray
    scale_n: ScoreArray


class OwlTowers(nn.Module):
    """A detector of the family, with the methods of a CLIP."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector, self.model = detector, detector.model

    @property
    def base(self) -> Any:
        """The model of transformers that has both towers."""
        return getattr(self.model, self.detector.kind)

    @property
    def context(self) -> int:
        """Tokens that are read of a text."""
        return int(self.base.config.text_config.max_position_embeddings)

    @property
    def pads(self) -> bool:
        """Whether pictures are padded to a square, at their right or bottom; else they are squashed to one."""
        return bool(getattr(self.detector.processor.image_processor, "do_pad", False))

    def encode_text(self, ids_nt: Tensor) -> Tensor:
        """Return (N, D), not of unit length. Attention is causal, so padding at the end changes nothing."""
        return read_rows(self.base.get_text_features(input_ids=ids_nt))

    def encode_image(self, pixels_n3ss: Tensor) -> Tensor:
        """Return (N, D): the most object-like patch of each picture."""
        features_npc = self._read_features(pixels_n3ss)[0]
        best_n = self._rate(features_npc).argmax(dim=1)
        rows: Tensor = self.model.class_head.dense0(features_npc[torch.arange(len(best_n)), best_n])
        return rows

    def read(self, image: Image.Image) -> OwlPatches:
        """Return all patches of a picture, by one pass."""
        first = next(self.model.parameters())
        with torch.inference_mode(), detect_lost_device(first.device):
            pixels = self.detector.processor.image_processor(images=image, return_tensors="pt").pixel_values
            features_1pc, map_1hwc = self._read_features(pixels.to(first.device, first.dtype))
            shift_n, scale_n = self._read_logit_terms(features_1pc)
            return OwlPatches(
                to_numpy(self.model.box_predictor(features_1pc, map_1hwc)[0]),
                to_numpy(normalise(self.model.class_head.dense0(features_1pc)[0])),
                to_numpy(self._rate(features_1pc)[0].sigmoid()),
                to_numpy(shift_n[0]),
                to_numpy(scale_n[0]),
            )

    def read_texts(self, texts: Sequence[str]) -> Vectors:
        """Return (N, D) unit rows."""
        passes, device = [], next(self.model.parameters()).device
        for start in range(0, len(texts), PASS_TEXTS):
            with torch.inference_mode(), detect_lost_device(device):
                ids_nt = self._tokenize(texts[start : start + PASS_TEXTS]).to(device)
                passes.append(to_numpy(normalise(self.encode_text(ids_nt))))
            run_break_work()
        return np.concatenate(passes)

    def count_tokens(self, text: str) -> int:
        """Return the number before truncation."""
        return len(self.detector.processor.tokenizer(text, verbose=False).input_ids)

    def _tokenize(self, texts: Sequence[str]) -> Tensor:
        ids_nt: Tensor = self.detector.processor.tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=self.context, return_tensors="pt"
        ).input_ids
        return ids_nt

    def _read_features(self, pixels_n3ss: Tensor) -> tuple[Tensor, Tensor]:
        """Return the patches in a row, and in their grid."""
        map_nhwc, _ = self.model.image_embedder(pixels_n3ss)
        return map_nhwc.flatten(1, 2), map_nhwc

    def _read_logit_terms(self, features_npc: Tensor) -> tuple[Tensor, Tensor]:
        """Return shift and scale, each (N, patches)."""
        head = self.model.class_head
        return head.logit_shift(features_npc)[..., 0], head.elu(head.logit_scale(features_npc))[..., 0] + 1

    def _rate(self, features_npc: Tensor) -> Tensor:
        """Return the logit that a patch holds a thing: OWLv2's own; of OWL-ViT, that of a text of cosine 0."""
        if hasattr(self.model, "objectness_predictor"):
            logits: Tensor = self.model.objectness_predictor(features_npc)
            return logits
        shift_np, scale_np = self._read_logit_terms(features_npc)
        return shift_np * scale_np


def normalise(rows_nd: Tensor) -> Tensor:
    lengths_n1: Tensor = torch.linalg.norm(rows_nd, dim=-1, keepdim=True)
    return rows_nd / (lengths_n1 + EPSILON)


def to_numpy(values: Tensor) -> Any:
    """Return float32."""
    return values.float().cpu().numpy()


def load_owl(name: str, placement: Placement) -> Encoder:
    """Load `owlv2:PATH-OR-HUB` or `owlvit:...` as a model of the sidecar. Raises ModelUnavailable."""
    detector = load_detector(name, "cpu")
    towers = OwlTowers(detector)
    vision, text = (getattr(detector.model.config, f"{part}_config") for part in ("vision", "text"))
    processor = detector.processor.image_processor
    recipe = PixelRecipe(
        size=int(vision.image_size),
        mean=tuple(processor.image_mean),
        std=tuple(processor.image_std),
        resize="corner" if towers.pads else "squash",
        interpolation="bilinear" if towers.pads else "bicubic",
    )
    info = ModelInfo(
        model=name,
        revision=detector.revision,
        dimension=int(text.hidden_size),
        image_size=recipe.size,
        context_length=towers.context,
        preprocessing=recipe.version,
        logit_scale=float(towers.base.logit_scale.exp()),
        device=placement.device,
        precision=placement.precision,
    )
    weight_count = count_weights(towers)
    tokenizer = FolderTokenizer(detector.processor.tokenizer, towers.context, padded=False)
    return TorchEncoder(placement.place(towers), tokenizer, recipe, info, weight_count=weight_count)
