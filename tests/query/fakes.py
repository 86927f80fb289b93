"""A sidecar and a database small enough to check by eye: texts and images are told apart by their colour word.

Vectors live in three dimensions, red, green and blue; `white` is the same distance from each.
"""

import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed

import numpy as np
from PIL import Image

from clip_vectorizer.errors import SidecarRefused
from clip_vectorizer.query import Hit
from clip_vectorizer.query.labels import Label, Neighbour
from clip_vectorizer.query.zeroshot import Embedded
from clip_vectorizer.vectors import Vectors, unit
from tests.fakes import INFO as HASH_INFO

INFO = changed(HASH_INFO, dimension=3, context_length=20, logit_scale=10.0)
COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "white": (1, 1, 1)}


def vector_of(text: str) -> Vectors:
    """(3,) unit: the mean of the colours named in `text`; of no colour, white."""
    named = [colour for name, colour in COLOURS.items() if name in text] or [COLOURS["white"]]
    return unit(np.mean(named, axis=0).astype(np.float32))


def picture(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 2), colour).save(file, "PNG")
    return file.getvalue()


@dataclass
class FakeSidecar:
    texts: list[str] = field(default_factory=list)  # all that it was asked to embed
    batches: list[int] = field(default_factory=list)  # how many images came together

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        return np.stack([vector_of(text) for text in texts])

    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]:
        self.batches.append(len(images))
        return [self._embed_image(image) for image in images]

    def _embed_image(self, image: bytes) -> Vectors | SidecarRefused:
        if not image.startswith(b"\x89PNG"):
            return SidecarRefused(422, "not an image")
        with Image.open(io.BytesIO(image)) as opened:
            return unit(np.asarray(opened.convert("RGB"), dtype=np.float32)[0, 0])


@dataclass
class FakeLabels:
    """A LabelStore that may be slow to find what it stored (`late` searches), or lose all of it (`deaf`)."""

    rows: dict[str, tuple[Label, Vectors]] = field(default_factory=dict)
    late: int = 0
    deaf: bool = False

    def add(self, labels: Sequence[Label], vectors_ld: Vectors) -> None:
        self.rows |= {label.id: (label, vector) for label, vector in zip(labels, vectors_ld, strict=True)}

    def nearest(self, vector_d: Vectors, ids: Collection[str]) -> list[Neighbour]:
        if self.deaf or (self.rows and self.late > 0):
            self.late -= 1
            return []
        found = [Neighbour(id, 1 - float(self.rows[id][1] @ vector_d)) for id in ids if id in self.rows]
        return sorted(found, key=lambda neighbour: neighbour.distance)

    @property
    def texts(self) -> list[str]:
        return [label.text for label, _ in self.rows.values()]


@dataclass
class FakeImages:
    """An ImageStore of images named by their colours."""

    paths: Sequence[str] = ("red.png", "green.png", "blue.png")

    def near_text(self, text: str, limit: int) -> list[Hit]:
        return self.near_vector(vector_of(text), limit)

    def near_vector(self, vector_d: Vectors, limit: int) -> list[Hit]:
        cosines = {path: float(vector_of(path) @ vector_d) for path in self.paths}
        best = sorted(cosines, key=lambda path: -cosines[path])[:limit]
        return [Hit(path, cosines[path], 1 - cosines[path], path, "colours", "") for path in best]

    def embedded(self) -> Iterator[list[Embedded]]:
        for path in self.paths:
            yield [Embedded(path, vector_of(path)), Embedded(f"lost-{path}", None, "stored without a vector")]
