"""The arithmetic: rates of one machine in, what 100 million images need out. All of it is proportional."""

from collections.abc import Iterator
from dataclasses import dataclass

IMAGES = 100_000_000
HOUR, DAY = 3600.0, 86_400.0
MODELS = {"ViT-B/32": (512, 8.8), "ViT-L/14": (768, 162.0)}  # D, GFLOP an image (open_clip's model_profile.csv)
H200_GFLOPS = 790_000.0  # dense bf16, as its maker rates it: no model reaches that
NODE_BYTES = 100e9  # of memory that a Weaviate node of 128 GB may fill
# Of the graph: 64 neighbours in the lowest layer (maxConnections 32), ten bytes each; all of it twice, for Go's garbage
# collector. The rule of thumb of Weaviate's "Resource Planning"; not measured.
GRAPH_BYTES, SPARE = 640, 2
PARTS = 64  # how often a folder is listed


@dataclass(frozen=True, slots=True)
class Measured:
    """Rates are images a second of this whole machine, but for `read`; bytes are those of one image."""

    cores: int
    file_bytes: float
    thumbnail_bytes: float
    listed: float
    read: float  # on one core
    sidecar: float
    counted: float
    kept_bytes: float
    inserted: float  # with thumbnails
    inserted_bare: float
    looked_up: float
    disk_bytes: float
    disk_bytes_bare: float

    def rows(self) -> Iterator[tuple[str, str, float]]:
        yield "a JPEG file of the sample", "bytes", self.file_bytes
        yield "its thumbnail", "bytes", self.thumbnail_bytes
        yield "listed, one folder", "images/s", self.listed
        yield "hashed, decoded, made a thumbnail of, one core", "images/s", self.read
        yield "a sidecar with the emoji model: received, decoded", "images/s", self.sidecar
        yield "Weaviate, given vectors (512) and thumbnails", "objects/s", self.inserted
        yield "Weaviate, given vectors (512)", "objects/s", self.inserted_bare
        yield "Weaviate, looked up by id", "objects/s", self.looked_up
        yield "Weaviate, disk an object took, with its thumbnail", "bytes", self.disk_bytes
        yield "Weaviate, disk an object took, without", "bytes", self.disk_bytes_bare
        yield "counted by the driver", "images/s", self.counted
        yield "kept by the driver for its last check", "bytes", self.kept_bytes


def needs(found: Measured) -> Iterator[str]:
    yield f"\n## {IMAGES:,} images, proportionally"
    yield from cores(found)
    yield from models()
    yield from memory()
    yield from disk_and_network(found)
    yield from driver(found)


def cores(found: Measured) -> Iterator[str]:
    each = {
        "reading": 1 / found.read,
        "decoding in sidecars": found.cores / found.sidecar,
        "Weaviate and its client": found.cores / found.inserted,
    }
    for what, seconds in each.items():
        hours = seconds * IMAGES / HOUR
        yield f"{what}: {seconds * 1e3:.1f} ms of a core an image, {hours:.0f} core hours, {hours / 24:.1f} cores a day"
    hours = IMAGES / found.looked_up / HOUR
    yield f"looking all up again: {hours:.1f} hours of one Weaviate on {found.cores} cores"


def models() -> Iterator[str]:
    for name, (_, gflop) in MODELS.items():
        rate = H200_GFLOPS / gflop
        hours = IMAGES / rate / HOUR
        yield f"{name}, ideal H200 by GFLOP, not measured: {rate:,.0f} images/s, {hours:.1f} hours"


def memory() -> Iterator[str]:
    for name, (dimension, _) in MODELS.items():
        for kind, vector in (("fp32", 4 * dimension), ("RQ-8", dimension)):
            held = (vector + GRAPH_BYTES) * SPARE * IMAGES
            yield (
                f"{name}, {kind}: vectors {vector * IMAGES / 1e9:.0f} GB, graph {GRAPH_BYTES * IMAGES / 1e9:.0f} GB, "
                f"by the rule of thumb {held / 1e9:.0f} GB of memory: {int(-(-held // NODE_BYTES))} nodes of 128 GB"
            )


def disk_and_network(found: Measured) -> Iterator[str]:
    disk, bare = (each * IMAGES / 1e12 for each in (found.disk_bytes, found.disk_bytes_bare))
    yield f"Weaviate's disks: {disk:.1f} TB with thumbnails, {bare:.2f} TB without, each replica"
    files, thumbnails = found.file_bytes * IMAGES, 4 / 3 * found.thumbnail_bytes * IMAGES  # base64
    yield (
        f"files: {files / 1e12:.0f} TB, read and sent to a sidecar once each: {gigabits(files):.1f} Gbit/s for a day; "
        f"thumbnails to Weaviate: {gigabits(thumbnails):.2f} Gbit/s"
    )


def gigabits(size: float) -> float:
    """A second, for a day."""
    return size * 8 / DAY / 1e9


def driver(found: Measured) -> Iterator[str]:
    listing = IMAGES / found.listed / HOUR
    counting, kept = IMAGES / found.counted / HOUR, found.kept_bytes * IMAGES / 1e9
    yield f"listing a folder: {listing:.2f} core hours a part, {listing * PARTS:.0f} for {PARTS} parts"
    yield f"the driver: {counting:.2f} core hours to count, {kept:.0f} GB of memory for its last check"
