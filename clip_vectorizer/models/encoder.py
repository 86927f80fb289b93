"""The one contract between the sidecar and a model. No torch here: fakes obey it too.

N items · D dimensions · S input side
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from clip_vectorizer.vectors import Box, Pixels, Vectors


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model is, as `/meta` tells it. Vectors of two models, dimensions or preprocessings never mix."""

    model: str  # the name it was asked for by: `emoji`, `ViT-B-32::openai`, ...
    revision: str  # digest of the weights: two sidecars with equal revisions give equal vectors
    dimension: int
    image_size: int  # pixels, the input's side
    context_length: int  # tokens a text may have, start and end included
    preprocessing: str  # version of the pixel path, for example `shortest-48-bicubic-v2`
    logit_scale: float  # the factor before a softmax over cosines, not its logarithm
    device: str  # `cpu`, `cuda:0`
    precision: str  # `fp32`, `bf16`, ...


@dataclass(frozen=True, slots=True)
class PreparedText:
    """Token ids without padding, start and end included."""

    ids: tuple[int, ...]
    full_length: int  # tokens before the cut to the context

    @property
    def cut(self) -> bool:
        return self.full_length > len(self.ids)


class Preparer(Protocol):
    """Makes the model's inputs of texts and images; needs no weights. May run in many threads at once."""

    @property
    def info(self) -> ModelInfo: ...

    def prepare_text(self, text: str) -> PreparedText: ...

    def prepare_image(self, image: Image.Image, box: Box | None = None) -> Pixels:
        """(S, S, 3) uint8 of an upright RGB image of any size, or of `box` in it."""


class Encoder(Preparer, Protocol):
    """Texts and images in, unit vectors out. Each `encode_*` may run in one thread at a time."""

    @property
    def preparer(self) -> Preparer:
        """What prepares as this does, without the weights; it can be pickled for another process."""

    def warm_up(self, max_batch: int) -> None:
        """Does once what would make first batches slow, for batches of up to `max_batch` items.

        Shows now what cannot work later. Raises DeviceLost, and what the model raises.
        """

    def encode_texts(self, texts: Sequence[PreparedText]) -> Vectors:
        """(N, D) float32, unit rows, same order as `texts`. Raises DeviceLost, and what the model raises."""

    def encode_images(self, images: Sequence[Pixels]) -> Vectors:
        """(N, D) float32, unit rows, same order as `images`. Raises DeviceLost, and what the model raises."""
