"""The encoder around a torch model: batches in, unit rows out.

N items · D dimensions · S input side · T tokens
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from clip_vectorizer.models.encoder import ModelInfo, PreparedText
from clip_vectorizer.models.preprocess import PixelRecipe, normalised, prepare
from clip_vectorizer.models.tokens import TextReader
from clip_vectorizer.vectors import Pixels, Vectors


class Towers(Protocol):
    """What a model computes; rows need not be of unit length."""

    def encode_image(self, pixels_n3ss: Tensor) -> Tensor: ...

    def encode_text(self, ids_nt: Tensor) -> Tensor: ...


class TorchEncoder:
    def __init__(
        self, towers: Towers, reader: TextReader, recipe: PixelRecipe, info: ModelInfo, pad_id: int = 0
    ) -> None:
        """`towers` in eval mode on `info.device`, able to take texts shorter than the context if `reader` gives such."""
        self.info = info
        self._towers, self._reader, self._recipe, self._pad_id = towers, reader, recipe, pad_id
        self._device = torch.device(info.device)
        self._dtype = torch.bfloat16 if info.precision == "bf16" else torch.float32

    def prepare_text(self, text: str) -> PreparedText:
        return self._reader(text)

    def prepare_image(self, image: Image.Image) -> Pixels:
        return prepare(image, self._recipe)

    def encode_texts(self, texts: Sequence[PreparedText]) -> Vectors:
        """A batch is as long as its longest text: exact where readers give unpadded ids, for those towers are causal."""
        if not texts:
            return self._none()
        longest = max(len(text.ids) for text in texts)
        ids_nt = [[*text.ids, *[self._pad_id] * (longest - len(text.ids))] for text in texts]
        with torch.inference_mode():
            return unit_rows(self._towers.encode_text(torch.tensor(ids_nt, device=self._device)))

    def encode_images(self, images: Sequence[Pixels]) -> Vectors:
        if not images:
            return self._none()
        with torch.inference_mode():
            pixels = normalised(images, self._recipe, self._device).to(self._dtype)
            return unit_rows(self._towers.encode_image(pixels))

    def _none(self) -> Vectors:
        return torch.empty(0, self.info.dimension).numpy()


def unit_rows(rows_nd: Tensor) -> Vectors:
    """Length 1, float32, on the CPU."""
    rows: Vectors = F.normalize(rows_nd.float(), dim=-1).cpu().numpy()
    return rows
