"""Recall@k of finding drawings by name and names by drawing, over one art set.

N concepts · D dimensions
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.training.captions import TEMPLATES_EN, TEMPLATES_ZH
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.vectors import Pixels, Vectors, ensemble

DEPTHS = (1, 5, 10)
BATCH = 256
ItemT = TypeVar("ItemT")
PROMPTS = {"en": TEMPLATES_EN, "zh": TEMPLATES_ZH}


@dataclass(frozen=True, slots=True)
class RecallRow:
    """One row of the table: the share of queries whose own answer is among the first k, for each k of DEPTHS."""

    direction: str  # `text->image` or `image->text`
    language: str
    prompts: str  # `name` or `ensemble`
    at: tuple[float, ...]


def measure_recall(encoder: Encoder, concepts: Sequence[Concept], drawings_nhh4: Pixels) -> list[RecallRow]:
    """Measure both directions, both languages, plain name and prompt ensemble. Drawings: (N, H, H, 4) uint8 RGBA."""
    images_nd = encode_drawings(encoder, drawings_nhh4)
    return [
        RecallRow(direction, language, prompts, compute_recall(similarity))
        for language in PROMPTS
        for prompts, texts_nd in encode_prompts(encoder, concepts, language).items()
        for direction, similarity in {
            "text->image": texts_nd @ images_nd.T,
            "image->text": images_nd @ texts_nd.T,
        }.items()
    ]


def compute_recall(similarity_nn: Vectors) -> tuple[float, ...]:
    """Return the share of rows whose own column (i of row i) is among the first k. Ties count as errors."""
    own = np.diagonal(similarity_nn)[:, None]
    rank = (similarity_nn >= own).sum(axis=1)
    return tuple(float((rank <= depth).mean()) for depth in DEPTHS)


def encode_prompts(encoder: Encoder, concepts: Sequence[Concept], language: str) -> dict[str, Vectors]:
    """Return `name` and `ensemble` -> (N, D) unit rows."""
    names = [getattr(item, f"name_{language}") for item in concepts]
    plain = encode_texts(encoder, names)
    prompted = [encode_texts(encoder, [template.format(name) for name in names]) for template in PROMPTS[language]]
    return {"name": plain, "ensemble": ensemble(np.stack([plain, *prompted], axis=1))}


def encode_texts(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    return np.concatenate(
        [encoder.encode_texts([encoder.prepare_text(text) for text in part]) for part in split_batches(texts)]
    )


def encode_drawings(encoder: Encoder, drawings_nhh4: Pixels) -> Vectors:
    pictures = [encoder.prepare_image(place_on_white(drawing)) for drawing in drawings_nhh4]
    return np.concatenate([encoder.encode_images(part) for part in split_batches(pictures)])


def place_on_white(drawing_hh4: npt.NDArray[np.uint8]) -> Image.Image:
    drawing = Image.fromarray(drawing_hh4)
    ground = Image.new("RGBA", drawing.size, "white")
    return Image.alpha_composite(ground, drawing).convert("RGB")


def split_batches(items: Sequence[ItemT]) -> Iterator[Sequence[ItemT]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def format_markdown(rows: Sequence[RecallRow]) -> str:
    heading = "| query | language | prompts | " + " | ".join(f"recall@{depth}" for depth in DEPTHS) + " |"
    lines = [
        f"| {row.direction} | {row.language} | {row.prompts} | {' | '.join(f'{value:.3f}' for value in row.at)} |"
        for row in rows
    ]
    return "\n".join([heading, "| --- | --- | --- |" + " --- |" * len(DEPTHS), *lines])
