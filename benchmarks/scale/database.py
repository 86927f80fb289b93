"""What one Weaviate takes and holds: objects with vectors of ViT-B-32's size, and with thumbnails too.

D dimensions
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np

from benchmarks.photographs import make_photographs
from benchmarks.scale.rates import seconds, thumbnail_of
from benchmarks.servers import start_own_server
from clip_vectorizer.database.collections import CollectionSpec
from clip_vectorizer.database.connection import ConnectionSettings
from ingest.choices import Fit, Keep
from ingest.embedded import LocalWeaviate
from ingest.items import Facts, ImageObject
from ingest.pipeline import split_groups
from ingest.store.base import ImageStore
from ingest.store.open import open_store

DIMENSION = 512
BATCH, AT_ONCE = 128, 2  # as `clip-ingest` sends them
LOOK_UP = 256
Thing = TypeVar("Thing")


def in_weaviate(count: int) -> dict[str, float]:
    """Rates in objects a second, sizes in bytes an object. The index grows from nothing."""
    with TemporaryDirectory() as folder, start_own_server("fp32") as server:
        bare = with_server(Path(folder) / "bare", server.url, Keep.HASH, count)
        shown = with_server(Path(folder) / "shown", server.url, Keep.THUMBNAIL, count // 5)
    return {
        "inserted": shown["inserted"],
        "inserted_bare": bare["inserted"],
        "looked_up": bare["looked_up"],
        "disk_bytes": shown["disk_bytes"],
        "disk_bytes_bare": bare["disk_bytes"],
    }


def with_server(data: Path, url: str, keep: Keep, count: int) -> dict[str, float]:
    with LocalWeaviate(data, url) as weaviate:
        empty = disk_bytes(data)
        where = ConnectionSettings(weaviate.url, weaviate.grpc_port, weaviate.api_key, url)
        with open_store(where, "Scale", CollectionSpec(keep, embed_here=True)) as store:
            found = with_store(store, keep, count)
    return found | {"disk_bytes": (disk_bytes(data) - empty) / count}  # it has ended, and written all


def with_store(store: ImageStore, keep: Keep, count: int) -> dict[str, float]:
    batches = list(split_groups(objects(count, keep), BATCH))
    keys = list(split_groups([item.key for batch in batches for item in batch], LOOK_UP))
    inserting = seconds(lambda: side_by_side(lambda batch: put(store, batch), batches))
    looking = seconds(lambda: side_by_side(store.states, keys))
    return {"inserted": count / inserting, "looked_up": count / looking}


def objects(count: int, keep: Keep) -> Iterator[ImageObject]:
    """Vectors of 48 directions, for those of images are far from filling their space; an index feels that."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((48, DIMENSION), dtype=np.float32)
    thumbnail = thumbnail_of(make_photographs(1, size=(1024, 768))[0]) if keep is Keep.THUMBNAIL else None
    for number in range(count):
        vector_d = rng.standard_normal(48, dtype=np.float32) @ directions
        yield ImageObject(
            key=f"folder/{number:012}.jpg",
            source="/data/images",
            stamp=f"{number:016x}",
            sha256=f"{number:064x}",
            fit=Fit.CROP,
            facts=Facts("folder"),
            mime="image/jpeg",
            size=150_000,
            image=b"",
            thumbnail=thumbnail,
            vector_d=vector_d / np.linalg.norm(vector_d),
        )


def put(store: ImageStore, batch: Sequence[ImageObject]) -> None:
    if refused := store.put(batch):
        raise RuntimeError(f"Weaviate refused {len(refused)} objects: {next(iter(refused.values())).reason}")


def side_by_side(act: Callable[[Thing], object], things: Sequence[Thing]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(act, things))


def disk_bytes(folder: Path) -> int:
    """As the file system counts: files that Weaviate makes large in advance are not."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())
