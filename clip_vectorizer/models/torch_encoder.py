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

PAD = 0


class Towers(Protocol):
    """What a model computes; rows need not be of unit length."""

    def encode_image(self, pixels_n3ss: Tensor) -> Tensor: ...

    def encode_text(self, ids_nt: Tensor) -> Tensor: ...


class TorchEncoder:
    def __init__(
        self, towers: Towers, reader: TextReader, recipe: PixelRecipe, info: ModelInfo, least_tokens: int = 0
    ) -> None:
        """`towers` in eval mode on `info.device`; `least_tokens`: to which every batch of texts is padded."""
        self._towers, self._reader, self._recipe = towers, reader, recipe
        self._info, self._least_tokens = info, least_tokens
        self._device = torch.device(info.device)
        self._dtype = torch.bfloat16 if info.precision == "bf16" else torch.float32

    @property
    def info(self) -> ModelInfo:
        return self._info

    def prepare_text(self, text: str) -> PreparedText:
        return self._reader(text)

    def prepare_image(self, image: Image.Image) -> Pixels:
        return prepare(image, self._recipe)

    def encode_texts(self, texts: Sequence[PreparedText]) -> Vectors:
        if not texts:
            return self._no_rows()
        with torch.inference_mode():
            ids_nt = torch.tensor(padded([text.ids for text in texts], self._least_tokens))
            return unit_rows(self._towers.encode_text(ids_nt.to(self._device)))

    def encode_images(self, images: Sequence[Pixels]) -> Vectors:
        if not images:
            return self._no_rows()
        with torch.inference_mode():
            pixels = normalised(images, self._recipe, self._device).to(self._dtype)
            return unit_rows(self._towers.encode_image(pixels))

    def _no_rows(self) -> Vectors:
        return torch.empty(0, self._info.dimension).numpy()


def padded(rows: Sequence[tuple[int, ...]], least: int) -> list[tuple[int, ...]]:
    """All as long as the longest, or as `least`."""
    length = max(least, *map(len, rows))
    return [row + (PAD,) * (length - len(row)) for row in rows]


def unit_rows(rows_nd: Tensor) -> Vectors:
    """Length 1, float32, on the CPU."""
    rows: Vectors = F.normalize(rows_nd.float(), dim=-1).cpu().numpy()
    return rows
