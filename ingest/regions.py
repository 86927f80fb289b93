"""The stage of an ingest that makes regions: boxes, crops, vectors, objects; then the image may be written.

Regions of an image are in the database before the image records their stamp. So a run that ends in between is repeated
by the next one, and an image with a stamp has all its regions.

N boxes · D dimensions
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from clip_vectorizer.errors import ImageRefused, SidecarRefused
from clip_vectorizer.images.opener import decode_image
from clip_vectorizer.images.settings import DecodeSettings
from clip_vectorizer.region_crops import cut_region
from clip_vectorizer.vectors import Vectors
from ingest.embed import Embedder, StoreChange, describe_refusal
from ingest.items import ItemOutcome, RegionResult, RegionTask, Status
from ingest.region_boxes import PlacedBox, PlacedBoxes, place_corners, place_given, place_grid, place_shares
from ingest.region_cuts import add_line_grids, encode_crop, place_crops
from ingest.region_memory import RegionMemory
from ingest.region_methods import RegionKind, RegionMethod, RegionRecipe
from ingest.retry import Patience
from ingest.store.base import ImageRegionStore, Refusal, RegionObject

FLUSH_CROPS = 64  # crops in a request to the sidecar


class RegionProposer(Protocol):
    """What finds the boxes of objects: the sidecar, or a fake in tests."""

    def propose(self, images: Sequence[bytes], limit: int) -> list[Sequence[PlacedBox] | SidecarRefused]:
        """Return the boxes of each image file, the most object-like first, or why it was refused.

        Raises SidecarUnreachable, Mismatch (another model).
        """


@dataclass(frozen=True, slots=True)
class CutRegions:
    """A change, its boxes, and the files of the crops of those without a vector."""

    change: StoreChange
    task: RegionTask
    placed: PlacedBoxes
    crops: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class RegionMaker:
    """Makes and stores the regions of changes. Several threads may share it.

    `embedder` None: a dry run, which counts the boxes that are known without the sidecar.
    """

    recipe: RegionRecipe
    store: ImageRegionStore
    embedder: Embedder | None
    proposer: RegionProposer | None = None
    decode: DecodeSettings = field(default_factory=DecodeSettings)
    memory: RegionMemory = field(default_factory=RegionMemory)

    @property
    def method(self) -> RegionMethod:
        return self.recipe.method

    def make(self, changes: Sequence[StoreChange], patience: Patience) -> Iterator[StoreChange | ItemOutcome]:
        """Yield each change, with a RegionResult in place of its RegionTask, or a failed outcome. Raises Unreachable.

        Equal pictures come after the first of them, whose regions they take over.
        """
        for group in separate_equal(changes):
            yield from self._make_distinct(group, patience)

    def _make_distinct(self, changes: Sequence[StoreChange], patience: Patience) -> Iterator[StoreChange | ItemOutcome]:
        waiting: list[CutRegions] = []
        for cut in self._cut_all(changes, patience):
            if not isinstance(cut, CutRegions):
                yield cut
                continue
            waiting.append(cut)
            if sum(len(each.crops) for each in waiting) >= FLUSH_CROPS:
                yield from self._store(waiting, patience)
                waiting = []
        yield from self._store(waiting, patience)

    def discard(self, keys: Sequence[str], patience: Patience) -> None:
        """Remove the regions of images that were refused after these were stored."""
        if keys and self.embedder:
            patience.call(lambda: self.store.discard(keys))

    def _cut_all(
        self, changes: Sequence[StoreChange], patience: Patience
    ) -> Iterator[StoreChange | ItemOutcome | CutRegions]:
        new: list[StoreChange] = []
        for change in changes:
            if not isinstance(change.regions, RegionTask):
                yield change
            elif made := self.memory.find(change.regions.stamp):
                yield CutRegions(change, change.regions, made, ())
            else:
                new.append(change)
        found = self._propose(new, patience) if self.method.is_proposal else [None] * len(new)
        for change, proposals in zip(new, found, strict=True):
            if isinstance(proposals, SidecarRefused):
                yield fail_change(change, f"its regions: {describe_refusal(proposals)}")
            else:
                yield self._cut_or_fail(change, proposals)

    def _cut_or_fail(self, change: StoreChange, proposals: Sequence[PlacedBox] | None) -> CutRegions | ItemOutcome:
        try:
            return self._cut(change, proposals)
        except ImageRefused as refused:
            return fail_change(change, f"its regions: {refused.reason}")

    def _propose(
        self, changes: Sequence[StoreChange], patience: Patience
    ) -> Sequence[Sequence[PlacedBox] | SidecarRefused]:
        if self.proposer is None or not changes:
            return [()] * len(changes)
        proposer, pictures = self.proposer, [require_task(change).picture for change in changes]
        return patience.call(lambda: proposer.propose(pictures, self.method.limit))

    def _cut(self, change: StoreChange, proposals: Sequence[PlacedBox] | None) -> CutRegions:
        task = require_task(change)
        if task.crops:
            files = [each.file for each in task.crops] if self.embedder else []
            return CutRegions(change, task, place_crops(task.crops), files)
        pixels = decode_image(task.picture, self.decode).pixels
        if proposals is not None:
            placed = place_shares(proposals, self.method.limit)
        elif task.boxes is not None:
            placed = place_given(task.boxes, pixels.size, self.method.limit)
        elif self.method.kind is RegionKind.CORNERS:
            placed = add_line_grids(place_corners(self.method), pixels)
        else:
            placed = place_grid(self.method, pixels.size)
        cut = [each for each in placed.boxes if each.vector_d is None] if self.embedder else []
        return CutRegions(change, task, placed, [encode_crop(cut_region(pixels, each.box)) for each in cut])

    def _store(self, cuts: Sequence[CutRegions], patience: Patience) -> Iterator[StoreChange | ItemOutcome]:
        refused = self._embed_and_write(cuts, self.embedder, patience) if self.embedder and cuts else {}
        for cut in cuts:
            if refusal := refused.get(cut.change.key):
                yield fail_change(cut.change, f"its regions: {refusal.reason}")
            else:
                result = RegionResult(cut.task.stamp, len(cut.placed.boxes), cut.placed.remark)
                yield replace(cut.change, regions=result)

    def _embed_and_write(
        self, cuts: Sequence[CutRegions], embedder: Embedder, patience: Patience
    ) -> Mapping[str, Refusal]:
        """Return the images whose regions were refused, by key."""
        crops = [crop for cut in cuts for crop in cut.crops]
        outcomes = iter(patience.call(lambda: embedder.embed(crops)) if crops else [])
        objects: dict[str, list[RegionObject]] = {}
        refused: dict[str, Refusal] = {}
        for cut in cuts:
            own = [each.vector_d for each in cut.placed.boxes]
            outcomes_k = [next(outcomes) if vector_d is None else vector_d for vector_d in own]
            vectors = [each for each in outcomes_k if not isinstance(each, SidecarRefused)]
            if bad := next((each for each in outcomes_k if isinstance(each, SidecarRefused)), None):
                refused[cut.change.key] = Refusal(describe_refusal(bad))
            else:
                self.memory.remember(cut.task.stamp, add_region_vectors(cut.placed, vectors))
                objects[cut.change.key] = [
                    build_region(cut, rank, vector_d, self.method) for rank, vector_d in enumerate(vectors)
                ]
        stamped = [cut.change.key for cut in cuts if cut.task.was_stamped and cut.change.key in objects]
        return refused | dict(patience.call(lambda: self.store.replace(objects, stamped)))


def require_task(change: StoreChange) -> RegionTask:
    assert isinstance(change.regions, RegionTask)
    return change.regions


def separate_equal(changes: Sequence[StoreChange]) -> tuple[Sequence[StoreChange], Sequence[StoreChange]]:
    """Return the changes with the first picture of each stamp, or none, and those with an equal picture."""
    first: dict[str, StoreChange] = {}
    again: list[StoreChange] = []
    for change in changes:
        stamp = change.regions.stamp if isinstance(change.regions, RegionTask) else f"no task {change.key}"
        if first.setdefault(stamp, change) is not change:
            again.append(change)
    return list(first.values()), again


def add_region_vectors(placed: PlacedBoxes, vectors: Sequence[Vectors]) -> PlacedBoxes:
    boxes = zip(placed.boxes, vectors, strict=True)
    return replace(placed, boxes=tuple(replace(box, vector_d=vector_d) for box, vector_d in boxes))


def build_region(cut: CutRegions, rank: int, vector_d: Vectors, method: RegionMethod) -> RegionObject:
    placed, change, facts = cut.placed.boxes[rank], cut.change, cut.task.facts
    return RegionObject(
        key=change.key,
        method=str(method.kind),
        box=placed.box,
        objectness=placed.objectness,
        rank=rank,
        label=facts.label,
        caption=facts.caption,
        source=change.source,
        vector_d=vector_d,
        corner=placed.corner,
        line_grid=placed.line_grid,
    )


def fail_change(change: StoreChange, reason: str) -> ItemOutcome:
    return ItemOutcome(change.key, Status.FAILED, reason, change.source)
