"""The contract between the sidecar and a model. No torch, so that fakes can implement it.

N items · D dimensions · S input side
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from clip_vectorizer.vectors import Box, Pixels, Vectors


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Description of a model, as `/meta` returns it. Vectors of different models are not comparable."""

    model: str  # the name it was loaded by: `emoji`, `ViT-B-32::openai`, ...
    revision: str  # digest of the weights: sidecars of equal revision return equal vectors
    dimension: int
    image_size: int  # side of the input in pixels
    context_length: int  # maximum tokens of a text, start and end included
    preprocessing: str  # version of the pixel path, for example `shortest-48-bicubic-v2`
    logit_scale: float  # the factor of cosines before a softmax or sigmoid, not its logarithm
    device: str  # `cpu`, `cuda:0`
    precision: str  # `fp32`, `bf16`, ...
    logit_bias: float | None = None  # of a sigmoid model (SigLIP): added before the sigmoid; None: a softmax model
    texts: bool = True  # whether it has a text tower; an image-only model has none
    pixel_check: str = ""  # equal in processes that make the same input of a file (images/pixel_check.py); "": unknown


@dataclass(frozen=True, slots=True)
class PreparedText:
    """Token ids without padding, start and end included."""

    ids: tuple[int, ...]
    full_length: int  # tokens before the cut to the context

    @property
    def cut(self) -> bool:
        return self.full_length > len(self.ids)


class Preparer(Protocol):
    """Converts texts and images to model inputs, without the weights. Thread-safe."""

    @property
    def info(self) -> ModelInfo: ...

    def prepare_text(self, text: str) -> PreparedText:
        """Raises NoTexts where the model has no text tower."""

    def prepare_image(self, image: Image.Image, box: Box | None = None) -> Pixels:
        """Return (S, S, 3) uint8 of an upright RGB image of any size, or of `box` in it (left, top, right, bottom)."""


class Encoder(Preparer, Protocol):
    """Encodes texts and images to unit vectors. Each `encode_*` may run in one thread at a time."""

    @property
    def preparer(self) -> Preparer:
        """The same preparation without the weights; can be pickled for another process."""

    def warm_up(self, max_batch: int) -> None:
        """Run one-time work (recording, allocation) for batches of up to `max_batch` items, so failures show early.

        Raises DeviceLost, and errors of the model.
        """

    def encode_texts(self, texts: Sequence[PreparedText]) -> Vectors:
        """Return (N, D) float32 unit rows in the order of `texts`. Raises DeviceLost, and errors of the model."""

    def encode_images(self, images: Sequence[Pixels]) -> Vectors:
        """Return (N, D) float32 unit rows in the order of `images`. Raises DeviceLost, and errors of the model."""
