"""A sidecar and a database small enough to check by eye: texts and images differ by their colour word only.

Vectors have three dimensions, red, green and blue; `white` is equally distant from each.
"""

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from PIL import Image
from weaviate.classes.config import DataType
from weaviate.collections.classes.internal import MetadataReturn, Object, QueryReturn

from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import SidecarRefused, VectorizerError
from clip_vectorizer.query.labels.label_store import Label, Neighbour
from clip_vectorizer.query.search.calls import SearchTarget, WeaviateCall
from clip_vectorizer.query.search.regions import build_no_regions_error
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
    texts: list[str] = field(default_factory=list)  # all texts that were embedded
    batches: list[int] = field(default_factory=list)  # images of each request

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
    """A LabelStore whose first `late` searches find nothing, or, if `unindexed`, every search."""

    rows: dict[str, tuple[Label, Vectors]] = field(default_factory=dict)
    late: int = 0
    unindexed: bool = False

    def add(self, labels: Sequence[Label], vectors_ld: Vectors) -> None:
        self.rows |= {label.id: (label, vector) for label, vector in zip(labels, vectors_ld, strict=True)}

    def nearest(self, vector_d: Vectors, ids: Collection[str]) -> list[Neighbour]:
        if self.unindexed or (self.rows and self.late > 0):
            self.late -= 1
            return []
        if len(ids) > MAX_RESULTS:
            raise VectorizerError(f"query maximum results exceeded: {len(ids)}")  # as Weaviate does
        found = [Neighbour(id, 1 - float(self.rows[id][1] @ vector_d)) for id in ids if id in self.rows]
        return sorted(found, key=lambda neighbour: neighbour.distance)

    def vectors(self, ids: Sequence[str]) -> dict[str, Vectors]:
        return {id: self.rows[id][1] for id in ids if id in self.rows}

    @property
    def texts(self) -> list[str]:
        return [label.text for label, _ in self.rows.values()]


PROPERTIES = dict.fromkeys(("path", "label", "caption", "sha256", "duplicate_of", "thumbnail"), DataType.TEXT)
TARGET = SearchTarget("Colours", PROPERTIES)


@dataclass
class FakeImages:
    """A SearchableCollection of images named by their colours. Ignores filters and groups."""

    paths: Sequence[str] = ("red.png", "green.png", "blue.png")
    target: SearchTarget = TARGET
    calls: list[WeaviateCall] = field(default_factory=list)
    hashes: Mapping[str, str] = field(default_factory=dict)  # of the bytes, by path; default: the path

    def execute(self, call: WeaviateCall) -> Any:
        self.calls.append(call)
        match call.method:
            case "near_text":
                return self._near(vector_of(call.arguments["query"]), call)
            case "near_vector":
                return self._near(np.array(call.arguments["near_vector"], dtype=np.float32), call)
            case "hybrid":  # its keywords find every image
                return self._near(np.array(call.arguments["vector"], dtype=np.float32), call)
            case "fetch_objects":
                return QueryReturn(self._after(call))
        raise AssertionError(f"{call.method} was not expected")

    def open_regions(self) -> SearchTarget:
        raise build_no_regions_error(self.target.collection)

    def _after(self, call: WeaviateCall) -> list[Object[Any, Any]]:
        """Return the objects after the last one, which is given by its id, or by its path in a filter."""
        rows = [self._row(path, 0) for path in self.paths]
        if filters := [each for each in getattr(call.arguments.get("filters"), "filters", []) if each.target == "path"]:
            last = next((i for i, path in enumerate(self.paths) if path == filters[0].value), None)
        else:
            last = next((i for i, row in enumerate(rows) if str(row.uuid) == call.arguments.get("after")), None)
        return rows if last is None else rows[last + 1 :]

    def _near(self, vector_d: Vectors, call: WeaviateCall) -> QueryReturn[Any, Any]:
        cosines = {path: float(vector_of(path) @ unit(vector_d)) for path in self.paths}
        first = call.arguments.get("offset", 0)
        best = sorted(cosines, key=lambda path: -cosines[path])[first : first + call.arguments["limit"]]
        return QueryReturn([self._row(path, 1 - cosines[path]) for path in best])

    def _row(self, path: str, distance: float) -> Object[Any, Any]:
        properties = {"path": path, "label": "colours", "caption": "", "sha256": self.hashes.get(path, path)}
        vector = {"clip": vector_of(path).tolist()}
        return Object(
            uuid5(NAMESPACE_URL, path), MetadataReturn(distance=distance), properties, None, vector, "Colours"
        )
