"""Layouts of the map in memory: computed beside the pages that wait for them, one at a time.

N images · D dimensions
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any

import numpy as np

from clip_vectorizer.gallery.map_layout import PCA, MapPlaces, Plane, Projection, project
from clip_vectorizer.gallery.umap_layout import UmapLayouts
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.vectors import Vectors

SAMPLE = 5_000  # images of a map; a point is 4 pixels wide, and more would hide each other
PAGE_SIZE = 250  # images in an answer of Weaviate: reading one holds up other pages for some milliseconds
COLOURS = ("label", "predicted_label", "camera", "mime")  # properties that can colour the points
KEPT = 8  # layouts, some 3 MB each
MOST_WAITING = 8  # computations, of which one runs

LayoutKey = tuple[tuple[str, str | None], tuple[str, ...], str]  # collection and tenant, the filters, the method
Make = Callable[[], Coroutine[Any, Any, "MapLayout"]]


@dataclass(frozen=True, slots=True)
class MappedImage:
    """What the map shows of an image."""

    id: str
    path: str
    caption: str
    values: Mapping[str, str]  # by property of COLOURS, those that it has


@dataclass(frozen=True, slots=True)
class MapLayout:
    """Images and their places. `total`: images that match; of more than SAMPLE, these are an even sample."""

    images: tuple[MappedImage, ...]
    places_n2: MapPlaces
    total: int
    without_vector: int = 0
    projection: Projection | None = None  # of PCA
    plane: Plane | None = None

    def place(self, ids: Sequence[str], vectors: Sequence[Vectors | None]) -> list[tuple[float, float] | None]:
        """Return where other images are, None where this layout cannot tell: by PCA anywhere, else those it has."""
        if self.projection is not None and self.plane is not None and all(each is not None for each in vectors):
            rows = np.array(vectors, dtype=np.float64).reshape(len(ids), len(self.projection.mean_d))
            places = self.plane.place((rows - self.projection.mean_d) @ self.projection.axes_d2).clip(0, 1)
            return [(float(x), float(y)) for x, y in places]
        known = {image.id: index for index, image in enumerate(self.images)}
        found = (known.get(id) for id in ids)
        return [None if at is None else (float(self.places_n2[at, 0]), float(self.places_n2[at, 1])) for at in found]


async def compute_layout(
    search: AsyncImageSearch, filters: Sequence[str], method: str, total: int, umap: UmapLayouts
) -> MapLayout:
    """Read a sample and lay it out. `total`: how many images match. Raises InputError for a bad filter."""
    names = [name for name in COLOURS if name in search.properties]
    images, rows = [], []
    read = 0
    async for image in search.sample(
        SAMPLE, filters=list(filters), return_properties=names, include_vector=True, page_size=PAGE_SIZE
    ):
        read += 1
        if image.vector is not None and np.isfinite(image.vector).all():
            rows.append(image.vector)
            values = {name: intern(str(value)) for name in names if (value := image.properties.get(name))}
            images.append(MappedImage(image.id, image.path, image.caption, values))
    if not rows:
        return MapLayout((), np.empty((0, 2)), total, read)
    vectors_nd: Vectors = np.stack(rows)
    del rows
    projection = await asyncio.to_thread(project, vectors_nd) if method == PCA else None
    scores = projection.scores_n2 if projection else await umap.project(vectors_nd)
    plane = Plane.around(scores)
    return MapLayout(tuple(images), plane.place(scores), total, read - len(images), projection, plane)


class MapLayouts:
    """The last layouts by filters and method. One is computed at a time, and goes on when its page is closed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[LayoutKey, MapLayout] = OrderedDict()
        self._tasks: dict[LayoutKey, asyncio.Task[MapLayout]] = {}
        self._free = asyncio.Lock()
        self.umap = UmapLayouts()

    async def read(
        self, key: LayoutKey, total: int, make: Make, patience_seconds: float
    ) -> tuple[MapLayout | None, bool]:
        """Return the layout that there is, and whether a newer one is being computed.

        `total`: how many images match now; another number than the layout's begins a new computation, by `make`.
        Raises what `make` raises, once: the next call begins anew.
        """
        kept = self._kept.get(key)
        if kept is not None and kept.total == total:
            self._kept.move_to_end(key)
            return kept, False
        task = self._tasks.get(key)
        if task is None:
            if len(self._tasks) >= MOST_WAITING:
                self._forget_failed()
            if len(self._tasks) >= MOST_WAITING:
                return kept, True
            task = self._tasks[key] = asyncio.create_task(self._compute(key, make))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # a page may not come again
        await asyncio.wait({task}, timeout=0.0 if kept else patience_seconds)
        if not task.done():
            return kept, True
        self._tasks.pop(key, None)
        return task.result(), False

    async def _compute(self, key: LayoutKey, make: Make) -> MapLayout:
        async with self._free:
            layout = await make()
        self._tasks.pop(key, None)
        self._kept[key] = layout
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return layout

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await self.umap.close()

    def _forget_failed(self) -> None:
        """Drop computations that ended and were not asked for again."""
        for key in [key for key, task in self._tasks.items() if task.done()]:
            del self._tasks[key]
