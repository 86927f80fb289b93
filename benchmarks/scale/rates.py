"""What everything around the database and the model takes: listing, reading, decoding, counting."""

import hashlib
import pickle
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.photographs import make_photographs
from benchmarks.servers import start_own_server
from clip_vectorizer.client import VectorizerClient
from ingest.distributed.driver import BatchTally
from ingest.distributed.parts import SourcePart
from ingest.distributed.steps import ItemBatch, pack_batch, unpack_batch
from ingest.items import Facts, ImageObject, ItemOutcome, SourceItem, Status
from ingest.listing import ListingProgress, Selection
from ingest.pipeline import ignore_progress
from ingest.prepare import PrepareSettings, prepare
from ingest.report import IngestReport
from ingest.sources import open_sources
from ingest.sources.base import SourceOptions

SIZES = {(640, 480): 24, (1024, 768): 18, (1280, 960): 18}  # width and height, how many
GROUP = 64
TURNS = 6
AT_ONCE = 2  # requests, as an ingest sends them


def sample() -> list[bytes]:
    """JPEG files of photographs' sizes."""
    return [file for size, count in SIZES.items() for file in make_photographs(count, size=size)]


def bytes_of(files: Sequence[bytes]) -> tuple[float, float]:
    """The means of a file and of its thumbnail."""
    return sum(map(len, files)) / len(files), sum(len(thumbnail_of(file)) for file in files) / len(files)


def listing(count: int = 20_000) -> float:
    """Items a second, of one folder."""
    with TemporaryDirectory() as folder:
        for number in range(count):
            (Path(folder) / f"{number}.jpg").touch()
        (source,) = open_sources([folder], SourceOptions())
        return count / seconds(lambda: sum(1 for _ in source))


def reading(files: Sequence[bytes]) -> float:
    """Images a second on one core: hash, decode, thumbnail."""
    return len(files) * TURNS / seconds(lambda: [thumbnail_of(file) for _ in range(TURNS) for file in files])


def thumbnail_of(file: bytes) -> bytes:
    made = prepare(SourceItem("a.jpg", "/", "", lambda: file, lambda _: Facts()), None, PrepareSettings())
    assert isinstance(made, ImageObject) and made.thumbnail
    return made.thumbnail


def sidecar(files: Sequence[bytes]) -> float:
    """Images a second on all cores with a model so small that receiving and decoding are most of the work."""
    with start_own_server("fp32", "emoji", CLIP_CACHE_BYTES="0") as server, VectorizerClient(server.url) as client:
        client.embed_each_image(files)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            work = [files] * TURNS
            return len(files) * TURNS / seconds(lambda: list(threads.map(client.embed_each_image, work)))


def at_driver(rows: int = 2000) -> dict[str, float]:
    """Images a second that the driver counts, and the bytes it keeps of each for the check at the end."""
    packed = [
        pack_batch(ItemBatch(0, number, events=[ListingProgress(1)] * GROUP + added(number))) for number in range(rows)
    ]
    tally = BatchTally([SourcePart(0, (), Selection())], IngestReport(), ignore_progress)

    def take_all() -> None:
        for each in packed:
            tally.take(unpack_batch(each))

    took = seconds(take_all)
    return {"counted": rows * GROUP / took, "kept_bytes": len(pickle.dumps(added(0))) / GROUP}


def added(group: int) -> list[object]:
    """Of a row."""
    return [
        ItemOutcome(
            f"folder/{number:012}.jpg", Status.ADDED, "", "/data/images", hashlib.sha256(b"%d" % number).hexdigest()
        )
        for number in range(group * GROUP, group * GROUP + GROUP)
    ]


def seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start
