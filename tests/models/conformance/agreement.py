"""Compares a model that our loaders read with its authors' code on the same files.

N items · T tokens · D dimensions · S input side
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.vectors import Pixels, Vectors
from tests.models.conformance.samples import TEXTS, draw_pictures


@dataclass(frozen=True, slots=True)
class Reference:
    """Somebody else's code for a model."""

    tokenize: Callable[[list[str]], Tensor]  # (N, T) ids with padding
    transform: Callable[[Image.Image], Tensor]  # (3, S, S), scaled
    mean: Sequence[float]
    std: Sequence[float]
    encode_text: Callable[[Tensor], Any]  # (N, T) to (N, D), of any length
    encode_image: Callable[[Tensor], Any]  # (N, 3, S, S) to (N, D), of any length


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A small model on the disk: the name that a user gives, and the reference for it."""

    name: ModelName
    reference: Reference


@dataclass(frozen=True, slots=True)
class Format:
    """A format of models, and how one is saved in an empty folder."""

    name: str
    reference: str  # whose code it is compared with
    save: Callable[[Path], SavedModel]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How near our vectors are to the reference's.

    `texts` and `images`: largest 1 - cosine; images as equal pixels. `levels`: of pictures, each prepared by its own
    code, the largest mean difference in grey levels of 255.
    """

    texts: float
    images: float
    levels: float
    ids_equal: bool
    spread: float  # 1 - cosine of two different texts or images: what a mistake could change


def measure(model: SavedModel) -> Agreement:
    encoder = load_encoder(model.name, Placement())
    with torch.inference_mode():
        return compare(encoder, model.reference)


def compare(encoder: Encoder, reference: Reference) -> Agreement:
    prepared, ids_nt = [encoder.prepare_text(text) for text in TEXTS], reference.tokenize(TEXTS)
    pictures = draw_pictures()
    pixels = [encoder.prepare_image(picture) for picture in pictures]
    images, texts = encoder.encode_images(pixels), encoder.encode_texts(prepared)
    scaled = scale(pixels, reference)
    theirs = torch.stack([reference.transform(picture) for picture in pictures])
    return Agreement(
        texts=find_largest(texts, reference.encode_text(ids_nt)),
        images=find_largest(images, reference.encode_image(scaled)),
        levels=float(((theirs - scaled).abs() * to_channels(reference.std) * 255).mean(dim=(1, 2, 3)).max()),
        ids_equal=all(is_padded(text.ids, row.tolist()) for text, row in zip(prepared, ids_nt, strict=True)),
        spread=min(float(1 - rows[0] @ rows[3]) for rows in (texts, images)),
    )


def find_largest(ours_nd: Vectors, features: Any) -> float:
    """Return the largest 1 - cosine, in float64; transformers 5 returns features inside an object."""
    rows = getattr(features, "pooler_output", features)
    theirs, ours = to_unit(rows.numpy()), to_unit(ours_nd)
    return float((((ours - theirs) ** 2).sum(axis=1) / 2).max())  # equal to 1 - cosine, and exact where that is tiny


def to_unit(rows_nd: Vectors) -> Any:
    wide = rows_nd.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def scale(pixels: Sequence[Pixels], reference: Reference) -> Tensor:
    """Return (N, 3, S, S) of bytes, as the reference scales them."""
    images_n3ss = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    return (images_n3ss - to_channels(reference.mean)) / to_channels(reference.std)


def to_channels(values: Sequence[float]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


def is_padded(ids: Sequence[int], row: Sequence[int]) -> bool:
    """Whether `row` is `ids` and then padding: one id, again and again."""
    rest = row[len(ids) :]
    return list(ids) == list(row[: len(ids)]) and len(set(rest)) <= 1
