"""Boxes of objects, found by the sidecar: `POST /regions`."""

from collections.abc import Sequence

from clip_vectorizer.client import GrounderInfo, Regions, VectorizerClient
from clip_vectorizer.errors import InputError, Mismatch, SidecarRefused, SidecarUnreachable
from ingest.embed import BUSY_STATUSES
from ingest.region_boxes import PlacedBox, to_box
from ingest.region_methods import RegionKind, RegionMethod

TILES = "tiles"  # a grounder of any model, whose boxes are a grid's
ALTERNATIVES = "take --regions grid, or --regions boxes=FILE.json with boxes of a detector"


class SidecarProposer:
    """A RegionProposer that sends image files to the sidecar. Thread-safe."""

    def __init__(self, sidecar: VectorizerClient, grounder: GrounderInfo, own_vectors: bool = False) -> None:
        """`own_vectors`: regions get the vectors of the model that finds them, in the images' space, not of crops."""
        self._sidecar, self._grounder, self._own_vectors = sidecar, grounder, own_vectors

    def propose(self, images: Sequence[bytes], limit: int) -> list[Sequence[PlacedBox] | SidecarRefused]:
        """Return the boxes of each image file, or why it was refused. Raises SidecarUnreachable, Mismatch."""
        try:
            found = self._sidecar.propose_regions(images, limit, vectors=self._own_vectors)
            self._check_grounder()
        except SidecarRefused as refusal:
            if refusal.status in BUSY_STATUSES:
                raise SidecarUnreachable(str(refusal)) from refusal
            if refusal.status < 500 or refusal.status == 501:
                raise
            if len(images) == 1:
                return [refusal]
            half = len(images) // 2  # the model failed on one of them, so the whole request failed
            return [*self.propose(images[:half], limit), *self.propose(images[half:], limit)]
        return [each if isinstance(each, SidecarRefused) else list_boxes(each) for each in found]

    def _check_grounder(self) -> None:
        """Check after each response: a restarted sidecar may find other regions."""
        now = self._sidecar.grounder()
        if now != self._grounder:
            raise Mismatch(
                f"the sidecar at {self._sidecar.url} finds regions with {now.name if now else 'nothing'} now, and did "
                f"with {self._grounder.name} at the start; start that one again and repeat the command to continue"
            )


def list_boxes(regions: Regions) -> list[PlacedBox]:
    vectors = regions.vectors_nd if regions.vectors_nd is not None else [None] * len(regions.boxes_n4)
    rows = zip(regions.boxes_n4.tolist(), regions.objectness_n, vectors, strict=True)
    return [PlacedBox(to_box(box), float(score), vector_d) for box, score, vector_d in rows]


def find_grounder(sidecar: VectorizerClient, method: RegionMethod) -> GrounderInfo:
    """Return what finds the sidecar's regions. Raises InputError where it cannot do so in the way of `method`."""
    found = sidecar.grounder()
    if method.kind is RegionKind.OWLV2:
        check_name(sidecar, method, found)
    if found is None:
        raise InputError(f"--regions {method.kind}: the sidecar at {sidecar.url} finds no regions; {ALTERNATIVES}")
    if method.kind is RegionKind.OBJECTS and found.name == TILES:
        raise InputError(
            f"--regions objects: the sidecar at {sidecar.url} has only {TILES}, whose boxes are a grid's and not those "
            f"of objects; {ALTERNATIVES}"
        )
    if found.fused:
        raise InputError(
            f"--regions {method.kind}: the sidecar's {found.name} finds regions only for a phrase, so none can be "
            f"stored before a question; {ALTERNATIVES}"
        )
    return found


def check_name(sidecar: VectorizerClient, method: RegionMethod, found: GrounderInfo | None) -> None:
    """Its regions have vectors of its own, so it must be the model of the images too."""
    if found is None or found.name != method.grounder or not found.own_vectors:
        raise InputError(
            f"--regions {method.grounder}: the sidecar at {sidecar.url} runs another model; for a collection of this "
            f"one start it with `clip-vectorizer serve --model {method.grounder}`, or take --regions objects and start "
            f"it with --grounder {method.grounder} beside its model"
        )
