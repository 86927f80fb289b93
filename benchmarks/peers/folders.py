"""Commands that index a folder of images, each as a process from nothing to its finished index.

rclip writes vectors into SQLite, clip-retrieval into an .npy file, `clip-ingest` objects with vectors into a Weaviate.

N items · D dimensions
"""

import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.common import Report
from benchmarks.ingest.sides import CLIENT, files_of, ingest, stack
from benchmarks.peers.catalog import CLIP_RETRIEVAL, RCLIP, PeerPackage
from benchmarks.peers.environments import PeerUnavailable, find_python, summarise_error
from benchmarks.peers.report import IndexResult
from benchmarks.peers.vectors import check_cosine, compute_least_cosine
from benchmarks.peers.weights import (
    OPEN_CLIP,
    OPEN_CLIP_FOLDER,
    RCLIP_ARCHITECTURE,
    find_weights,
    write_rclip_folder,
)
from benchmarks.servers import make_offline_environment

PLAIN_ARCHITECTURE = "ViT-B-32"


@dataclass(frozen=True, slots=True)
class IndexRun:
    seconds: float  # of the whole process
    names: Sequence[str]  # of the files
    rows_nd: np.ndarray  # their vectors, unit rows


@dataclass(frozen=True, slots=True)
class FileVectors:
    """open_clip's vectors of a few files."""

    names: Sequence[str]
    rows_nd: np.ndarray


Index = Callable[[Path, Path], IndexRun]  # the images, the folder of weights.py


@dataclass(frozen=True, slots=True)
class IndexingPeer:
    package: PeerPackage
    architecture: str  # that it can be given
    index: Index


def index_with_rclip(images: Path, _weights: Path) -> IndexRun:
    """`rclip QUERY` in the folder, with its defaults; its first run indexes and then searches."""
    command = find_python(RCLIP).with_name("rclip")
    weights = find_weights(RCLIP_ARCHITECTURE, "rclip")
    with TemporaryDirectory() as name:
        data = Path(name) / "data"
        write_rclip_folder(weights, data)
        seconds = run((str(command), "--filepath-only", "--top", "1", "a photo"), images, {"RCLIP_DATADIR": str(data)})
        with sqlite3.connect(data / "db.sqlite3") as database:
            rows = database.execute("SELECT filepath, vector FROM images").fetchall()
        database.close()
    if not rows:
        raise PeerUnavailable("indexed nothing")
    names = [Path(path).name for path, _ in rows]
    return IndexRun(seconds, names, np.stack([np.frombuffer(vector, np.float32) for _, vector in rows]))


def index_with_clip_retrieval(images: Path, weights: Path) -> IndexRun:
    """`clip-retrieval inference` with its defaults: batches of 256, 4 workers that decode; it stores float16."""
    command = find_python(CLIP_RETRIEVAL).with_name("clip-retrieval")
    model = f"open_clip:{PLAIN_ARCHITECTURE}/{(weights / OPEN_CLIP).resolve()}"
    with TemporaryDirectory() as name:
        options = ("--input_dataset", str(images), "--output_folder", name, "--enable_text", "False")
        seconds = run((str(command), "inference", *options, "--clip_model", model), images, {})
        rows_nd = np.concatenate([np.load(file) for file in sorted(Path(name).glob("img_emb/*.npy"))])
        names = read_names(Path(name) / "metadata")
    return IndexRun(seconds, names, rows_nd.astype(np.float32))


def read_names(folder: Path) -> list[str]:
    from pyarrow import parquet

    tables = [parquet.read_table(file) for file in sorted(folder.glob("*.parquet"))]
    return [Path(path).name for table in tables for path in table["image_path"].to_pylist()]


def run(words: Sequence[str], folder: Path, env: dict[str, str]) -> float:
    """Return the seconds that the command took in `folder`. Raises PeerUnavailable when it fails."""
    start = time.monotonic()
    done = subprocess.run(
        words,
        cwd=folder,
        env={**make_offline_environment(), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PeerUnavailable(f"does not run: {summarise_error(done.stderr)}")
    return time.monotonic() - start


INDEXING = {
    "rclip": IndexingPeer(RCLIP, RCLIP_ARCHITECTURE, index_with_rclip),
    "clip-retrieval": IndexingPeer(CLIP_RETRIEVAL, PLAIN_ARCHITECTURE, index_with_clip_retrieval),
}


@dataclass(frozen=True, slots=True)
class FolderPlan:
    images: Path  # a folder of JPEGs
    precisions: Mapping[str, Sequence[str]]  # of ours, by architecture
    rounds: int


def measure_folder(
    plan: FolderPlan, name: str, weights: Path, reference: FileVectors, report: Report
) -> list[IndexResult]:
    """The peer and `clip-ingest` over the same folder in turns. A peer that fails becomes a note with the reason."""
    peer, images = INDEXING[name], plan.images
    precisions = plan.precisions[peer.architecture]
    runs: list[IndexRun] = []
    ours: dict[str, list[float]] = {precision: [] for precision in precisions}
    count = len(files_of(images))
    try:
        runs.append(peer.index(images, weights))
        cosine = compare_names(runs[0], reference)
        check_cosine(cosine, "fp32")
        report.note(f"{name}: least cosine {cosine:.6f} to open_clip's vectors")
        with ExitStack() as opened:
            start = time.monotonic()
            model = f"local-dir:{weights / OPEN_CLIP_FOLDER}"
            stacks = {each: opened.enter_context(stack(model, each)) for each in precisions}
            started = (time.monotonic() - start) / len(stacks)
            report.note(f"{name}: starting a Weaviate and a sidecar took {started:.1f} s, which no rate includes")
            for number in range(plan.rounds):
                for precision, servers in stacks.items():
                    took = ingest(servers, [images], f"Round{number}", CLIENT, "added")
                    ours[precision].append(took.process_rate)
                if number:
                    runs.append(peer.index(images, weights))
    except PeerUnavailable as reason:
        report.note(f"{name}: {reason}")
        return []
    theirs = [count / each.seconds for each in runs]
    return [IndexResult(name, peer.architecture, each, theirs, ours[each], cosine) for each in precisions]


def compare_names(run: IndexRun, reference: FileVectors) -> float:
    """The least cosine to the vectors of those files. Raises PeerUnavailable where a file has no vector."""
    places = {name: place for place, name in enumerate(run.names)}
    if missing := [name for name in reference.names if name not in places]:
        raise PeerUnavailable(f"has no vector of {missing[0]}")
    return compute_least_cosine(run.rows_nd[[places[name] for name in reference.names]], reference.rows_nd)
