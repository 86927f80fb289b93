"""The same ingest by a real Ray: as one process does it, also when its processes are killed under way."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from ingest.distributed import RaySettings, ingest_with_ray
from ingest.distributed.cluster import connect_cluster
from ingest.items import ItemOutcome
from ingest.job import IngestJob, run_job
from ingest.pipeline import IngestSettings, ignore_progress
from ingest.report import IngestReport
from ingest.sources.base import SourceOptions
from ingest.stages import SizeLimit
from tests.documents import page
from tests.http_server import ALLOWED
from tests.ingest.sources.web_server import Site, serving
from tests.stack.images import png
from tests.stack.processes import alive, eventually
from tests.stack.support import Stack

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # Ray's, of its own defaults
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # it leaves its logs open
]

[PYTHON] = page("docs/scale.md").blocks("python")
COUNT, EVERY_BROKEN, EQUAL = 240, 20, 5
BROKEN = COUNT // EVERY_BROKEN
SAME = 1e-6  # each number of two unit vectors that should be equal
RAY = RaySettings(cpus=2, parts=2, embedders=1, writers=1)
LOOPBACK = re.compile(r"(127\.0\.0\.1|\[::ffff:127\.0\.0\.1\]|\[::1\]):\d+")
Row = dict[str, Any]


@pytest.fixture(scope="module")
def on_ray() -> Iterator[None]:
    """One Ray for all tests here. It listens on loopback only, and leaves nothing behind."""
    with connect_cluster(RAY):
        own = ray_processes("")
        assert own, "Ray runs no processes"
        addresses = listening_of(own)
        assert addresses, "Ray listens nowhere"
        assert all(LOOPBACK.fullmatch(address) for address in addresses), addresses
        folder = ray_folder()
        yield
        own += ray_processes("")
    assert eventually(lambda: not alive(own)), alive(own)
    assert not folder.exists()


@pytest.fixture(scope="module")
def images() -> dict[str, bytes]:
    """By name; every twentieth is broken, the last few are equal to the first."""
    whole = {f"{number:03}.png": png((number, 255 - number, number * 7 % 256)) for number in range(COUNT)}
    whole |= {f"{number:03}.png": whole[f"{number:03}.png"][:90] for number in range(0, COUNT, EVERY_BROKEN)}
    return whole | {f"copy{number}.png": whole[f"{number:03}.png"] for number in range(1, EQUAL + 1)}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture(scope="module")
def job(
    stack: Stack, site: Site, images: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[IngestJob]:
    """Of one process, done."""
    table = tmp_path_factory.mktemp("ray") / "images.csv"
    table.write_text("\n".join(["url", *(site.add(f"/{name}", data) for name, data in images.items())]))
    settings = IngestSettings(embed_batch=SizeLimit(8), workers=1)
    options = SourceOptions(allow_addresses=ALLOWED)
    done = IngestJob([str(table)], stack.connection, options, settings, collection=fresh(), embed_here=True)
    run_job(done, IngestReport(), ignore_progress)
    yield done
    drop(stack, done.collection)


@pytest.fixture
def collection(stack: Stack) -> Iterator[str]:
    name = fresh()
    yield name
    drop(stack, name)


def test_killed_workers_leave_what_one_process_stores_and_a_second_run_adds_nothing(
    stack: Stack, job: IngestJob, collection: str, site: Site, on_ray: None
) -> None:
    victims = ["FlatMap(read_packed_part)", "MapWorker(Map(EmbedStep))", "MapWorker(Map(WriteStep))"]

    def kill_one_of_each(report: IngestReport, event: object) -> None:
        if isinstance(event, ItemOutcome) and victims and kill_one(victims[0]):
            victims.pop(0)
        if not victims:
            delay(site, 0)

    delay(site, 0.2)  # so that all are killed before the run ends
    on_many = replace(job, collection=collection)
    report = ingest_with_ray(on_many, RAY, kill_one_of_each)
    assert not victims, f"the run was over before {victims} could be killed"
    assert numbers(report) == (COUNT + EQUAL, COUNT + EQUAL - BROKEN, 0, BROKEN)
    assert (report.duplicates, report.complete) == (EQUAL, True)
    assert_equal(held(stack, collection), held(stack, job.collection))
    again = ingest_with_ray(on_many, RAY)
    assert numbers(again) == (COUNT + EQUAL, 0, COUNT + EQUAL - BROKEN, BROKEN)


def test_the_python_of_the_page_about_scale_runs(
    stack: Stack, collection: str, on_ray: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the folder and the addresses of this test, and as many workers as fit here."""
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(png((number, 0, 0)))
    replacements = {
        '["/data/images"]': f"[{str(tmp_path)!r}]",
        ", connection)": f", connection, collection={collection!r})",
        '"http://weaviate:8080"': f"{stack.weaviate_url!r}, {stack.grpc_port}, {stack.api_key!r}",
        '"http://sidecars:9090"': repr(stack.vectorizer_url),
        "parts=64, embedders=8, writers=8": "parts=2, embedders=1, writers=1",
    }
    source = PYTHON
    for old, new in replacements.items():
        source = source.replace(old, new)
    exec(compile(source, "docs/scale.md", "exec"), {})
    assert capsys.readouterr().out.startswith("3 images: 3 added")


def delay(site: Site, seconds: float) -> None:
    for served in site.pages.values():
        served.slow_seconds = seconds


def numbers(report: IngestReport) -> tuple[int, int, int, int]:
    return report.seen, report.added, report.unchanged, report.failed


def assert_equal(ours: dict[str, Row], theirs: dict[str, Row]) -> None:
    """Which of two equal images is linked to the other depends on who came first."""
    assert ours.keys() == theirs.keys()
    for path, row in ours.items():
        for each in (row, theirs[path]):
            each["properties"].pop("duplicate_of", None)
        assert row["properties"] == theirs[path]["properties"]
        assert row["id"] == theirs[path]["id"]
        assert_near(row, theirs[path])


def assert_near(row: Row, other: Row) -> None:
    apart = np.abs(np.subtract(row["vectors"]["clip"], other["vectors"]["clip"])).max()
    assert apart <= SAME, f"{row['properties']['path']}: the vectors differ by {apart:.1e}"


def fresh() -> str:
    return f"Ray{uuid4().hex[:12]}"


def drop(stack: Stack, collection: str) -> None:
    stack.weaviate("DELETE", f"/v1/schema/{collection}").raise_for_status()


def held(stack: Stack, collection: str) -> dict[str, Row]:
    """All objects by path."""
    answer = stack.weaviate("GET", f"/v1/objects?class={collection}&limit=1000&include=vector").json()["objects"]
    found = {row["properties"]["path"]: row for row in answer}
    assert len(found) == len(answer)
    return found


def ray_processes(name: str) -> list[int]:
    """Those below this one whose title has `ray` and the name in it: workers are called ray::FlatMap(read)."""
    table = subprocess.run(["ps", "-axww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [(int(pid), int(parent), args) for pid, parent, args in (line.split(None, 2) for line in table.splitlines())]
    below = {os.getpid()}
    for _ in range(4):
        below |= {pid for pid, parent, _ in rows if parent in below}
    titles = {pid: args for pid, _, args in rows if pid in below and pid != os.getpid()}
    wanted = f"ray::{name}" if name else ""
    return [pid for pid, title in titles.items() if "ray" in title and title.startswith(wanted)]


def kill_one(name: str) -> bool:
    found = ray_processes(name)
    for pid in found[:1]:
        os.kill(pid, signal.SIGKILL)
    return bool(found)


def listening_of(pids: list[int]) -> list[str]:
    """The local addresses of all sockets that these processes listen on."""
    table = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    own = {str(pid) for pid in pids}
    return [line.split()[3] for line in table.splitlines() if own & set(re.findall(r"pid=(\d+)", line))]


def ray_folder() -> Path:
    import ray

    return Path(ray._private.worker._global_node.get_session_dir_path()).parent
