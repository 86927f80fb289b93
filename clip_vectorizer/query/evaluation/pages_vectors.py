"""Vectors of the pages' squares by a sidecar, kept in a folder so that a repeated run embeds nothing again.

N pages · D dimensions
"""

import hashlib
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from PIL import Image, ImageDraw

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.errors import SidecarRefused
from clip_vectorizer.query.evaluation.dataset import Progress
from clip_vectorizer.query.evaluation.pages_views import VIEWS, PageView, encode_jpeg
from clip_vectorizer.vectors import Vectors, unit

BATCH = 32  # squares of a request
DECIMALS = 2  # of the sample's vector that identify a model


@dataclass(frozen=True, slots=True)
class EncodedPages:
    """One encoder's unit vectors, by way of cutting and page; a page that it refused is absent."""

    name: str
    by_view: dict[str, dict[str, Vectors]]  # view -> key of a page -> (D,)

    def stack(self, view: str, pages: Sequence[PageView]) -> Vectors:
        return np.stack([self.by_view[view][page.key] for page in pages])

    def has(self, page: PageView) -> bool:
        return all(page.key in self.by_view[view] for view in VIEWS)


def encode_pages(
    name: str, pages: Sequence[PageView], folder: Path, sidecar: VectorizerClient, progress: Progress
) -> tuple[EncodedPages, list[tuple[str, str]]]:
    """Embed every square that `folder` has no vector of. Return also the names and reasons of refused pages."""
    identity = identify_model(sidecar)
    encoded = EncodedPages(name, {})
    refused: dict[str, str] = {}
    for view in VIEWS:
        file = folder / f"{identity}-{view.split()[0]}.npz"
        known = read_vectors_file(file)
        missing = [page for page in pages if page.key not in known]
        for start in range(0, len(missing), BATCH):
            progress(f"{name}: {view}, {start} of {len(missing)}")
            batch = missing[start : start + BATCH]
            outcomes = sidecar.embed_each_image([page.read(view) for page in batch])
            for page, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, SidecarRefused):
                    refused[page.record.name] = f"{name}: {outcome}"
                else:
                    known[page.key] = unit(outcome)
        if missing and known:
            write_vectors_file(file, known)
        encoded.by_view[view] = known
    return encoded, list(refused.items())


def identify_model(sidecar: VectorizerClient) -> str:
    """Return a name of the model and its weights: other weights of the same name embed a sample differently."""
    sample = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(sample).polygon([(8, 8), (56, 20), (30, 58)], fill="navy")
    vector_d = unit(sidecar.embed_images([encode_jpeg(sample)])[0])
    text = f"{sidecar.meta().model} {np.round(vector_d, DECIMALS).tolist()}"
    return f"vectors-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def read_vectors_file(file: Path) -> dict[str, Vectors]:
    with suppress(OSError, ValueError, KeyError, BadZipFile), np.load(file, allow_pickle=False) as kept:
        return dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))
    return {}


def write_vectors_file(file: Path, vectors: dict[str, Vectors]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, keys=np.array(list(vectors)), vectors=np.stack(list(vectors.values())))
    (part := file.with_suffix(".part")).write_bytes(buffer.getvalue())
    part.replace(file)
