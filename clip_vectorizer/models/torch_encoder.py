"""Encoder of a torch model: batches in, unit rows out.

N items · D dimensions · S input side · T tokens
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from clip_vectorizer.models.device_errors import detect_lost_device
from clip_vectorizer.models.devices import copy_model
from clip_vectorizer.models.encoder import ModelInfo, PreparedText
from clip_vectorizer.models.preprocess import PixelRecipe, TorchPreparer, prepare_pixels
from clip_vectorizer.models.runners import (
    BucketRunner,
    EagerRunner,
    InputRow,
    Recorder,
    TowerRunner,
    length_buckets,
    smallest_holding,
)
from clip_vectorizer.models.tokens import TextTokenizer
from clip_vectorizer.vectors import Box, Pixels, Vectors

PADDING_ID = 0


class Towers(Protocol):
    """Image and text tower of a model; rows need not be of unit length."""

    def encode_image(self, pixels_n3ss: Tensor) -> Tensor: ...

    def encode_text(self, ids_nt: Tensor) -> Tensor: ...


class TorchEncoder:
    def __init__(
        self,
        towers: Towers,
        tokenizer: TextTokenizer,
        recipe: PixelRecipe,
        info: ModelInfo,
        least_tokens: int = 0,
        recorder: Recorder | None = None,
        weight_count: int = 0,
    ) -> None:
        """Wrap `towers`, in eval mode on `info.device`. Every batch of texts is padded to at least `least_tokens`.

        With a `recorder`, batches run in recorded shapes; a CUDA device gets one by default.
        `weight_count`: of both towers together.
        """
        self._towers, self._tokenizer, self._recipe = towers, tokenizer, recipe
        self.weight_count = weight_count
        self._info, self._least_tokens = info, least_tokens
        self._device = torch.device(info.device)
        recorder = recorder or create_recorder(self._device)
        self._lengths = length_buckets(info.context_length, least_tokens) if recorder else ()
        self._dtype = torch.bfloat16 if info.precision == "bf16" else torch.float32
        self._mean, self._std = (
            torch.tensor(each, device=self._device).view(1, 3, 1, 1) for each in (recipe.mean, recipe.std)
        )
        passes = self.text_pass, self.image_pass
        self._texts, self._images = (
            BucketRunner(each, recorder) if recorder else EagerRunner(each, self._device) for each in passes
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def towers(self) -> Towers:
        return self._towers

    @property
    def preparer(self) -> TorchPreparer:
        return TorchPreparer(self._tokenizer, self._recipe, self._info)

    def on(self, device: str) -> "TorchEncoder":
        """Return the same model on another device; on its own device, another encoder with the same weights."""
        towers = self._towers if device == self._info.device else copy_model(self._towers, torch.device(device))
        info = replace(self._info, device=device)
        return TorchEncoder(
            towers, self._tokenizer, self._recipe, info, self._least_tokens, weight_count=self.weight_count
        )

    def warm_up(self, max_batch: int) -> None:
        with detect_lost_device(self._device):
            if self._info.texts:
                self._texts.warm_up(self._example_texts(), max_batch)
            self._images.warm_up([np.zeros((self._recipe.size, self._recipe.size, 3), np.uint8)], max_batch)

    def _example_texts(self) -> list[InputRow]:
        recorded = [np.full(length, PADDING_ID, np.int64) for length in self._lengths]
        return recorded or self._rows([self._tokenizer("warm-up")])

    def prepare_text(self, text: str) -> PreparedText:
        return self._tokenizer(text)

    def prepare_image(self, image: Image.Image, box: Box | None = None) -> Pixels:
        return prepare_pixels(image, self._recipe, box)

    def encode_texts(self, texts: Sequence[PreparedText]) -> Vectors:
        return self._through(self._texts, self._rows(texts))

    def encode_images(self, images: Sequence[Pixels]) -> Vectors:
        return self._through(self._images, images)

    def _through(self, runner: TowerRunner, rows: Sequence[InputRow]) -> Vectors:
        if not rows:
            return np.empty((0, self._info.dimension), np.float32)
        with detect_lost_device(self._device):
            return runner(rows)

    def _rows(self, texts: Sequence[PreparedText]) -> list[InputRow]:
        """Pad all to the longest, or to the recorded length that holds it."""
        longest = max((len(text.ids) for text in texts), default=0)
        length = smallest_holding(longest, self._lengths) if self._lengths else max(longest, self._least_tokens)
        return [np.array(text.ids + (PADDING_ID,) * (length - len(text.ids)), np.int64) for text in texts]

    def text_pass(self, ids_nt: Tensor) -> Tensor:
        """Return (N, D) float32 unit rows on the device, from ids on the device."""
        return F.normalize(self._towers.encode_text(ids_nt).float(), dim=-1)

    def image_pass(self, bytes_nss3: Tensor) -> Tensor:
        """Return (N, D) float32 unit rows on the device, from bytes on the device, which are normalised there."""
        pixels_n3ss = bytes_nss3.permute(0, 3, 1, 2)
        if self._device.type == "cpu":  # with the colours last, means and deviations are read anew for every pixel
            pixels_n3ss = pixels_n3ss.contiguous()
        pixels_n3ss = pixels_n3ss.float().div_(255).sub_(self._mean).div_(self._std)
        return F.normalize(self._towers.encode_image(pixels_n3ss.to(self._dtype)).float(), dim=-1)


def create_recorder(device: torch.device) -> Recorder | None:
    if device.type != "cuda":
        return None
    from clip_vectorizer.models.cuda_graphs import CudaGraphs

    return CudaGraphs(device)
