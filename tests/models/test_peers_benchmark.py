"""What the benchmark of peers can be held to without a peer."""

import base64
import json
import subprocess
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.common import Report
from benchmarks.page_sections import list_sections
from benchmarks.peers.__main__ import main
from benchmarks.peers.catalog import EXPORTER, PACKAGES, PeerPackage
from benchmarks.peers.environments import STAMP, PeerUnavailable, find_python
from benchmarks.peers.folders import FileVectors, IndexRun, compare_names
from benchmarks.peers.loop import answer, repeat_batches
from benchmarks.peers.memory import sum_kilobytes
from benchmarks.peers.report import format_rates, format_ratios, list_figures, list_losses
from benchmarks.peers.rounds import LOADS, RoundPlan, SideResult, SideStart, measure_sides
from benchmarks.peers.sides import INFINITY_INTERFACE, Kind, PeerSide, ServerSide
from benchmarks.peers.starters import OWN
from benchmarks.peers.turns import stopped_between_turns, turn
from benchmarks.peers.vectors import SampleVectors, check_cosine, embed_samples
from benchmarks.servers import Server
from tests.documents import REPOSITORY

SMAPS = """\
7f00-7f10 r-xp 00000000 08:01 77 /lib/big.so
Rss: 300 kB
Pss: 100 kB
Shared_Clean: 280 kB
Shared_Dirty: 0 kB
Private_Clean: 15 kB
Private_Dirty: 5 kB
7f20-7f30 rw-p 00000000 00:00 0
Rss: 60 kB
Pss: 40 kB
Shared_Clean: 0 kB
Shared_Dirty: 40 kB
Private_Clean: 0 kB
Private_Dirty: 20 kB
VmFlags: rd wr mr
"""


def spell_item(item: str) -> list[float]:
    return [1.0, float(len(item)), float(zlib.crc32(item.encode()) % 100_003)]


def embed_all(_kind: str, items: Iterable[str], batch: int) -> np.ndarray:
    return repeat_batches(lambda _, part: np.array([spell_item(item) for item in part]))("text", items, batch)


class CountingSide:
    """Vectors that depend on the item; each load is a tenth faster than the one before."""

    pids = client_pids = ()

    def __init__(self, first_rate: float, mistake: float = 0.0) -> None:
        self.rate, self.mistake, self.seen = first_rate, mistake, list[tuple[Kind, int, str]]()

    def measure(self, kind: Kind, items: list[str], in_flight: int, _seconds: float) -> float:
        self.seen.append((kind, in_flight, items[0]))
        self.rate *= 1.1
        return self.rate

    def embed(self, _kind: Kind, items: list[str]) -> np.ndarray:
        return np.array([spell_item(item) for item in items]) + np.array([self.mistake, 0, 0])


PLAN = RoundPlan({"image": [f"{n}.jpg" for n in range(90)], "text": [f"text {n}" for n in range(90)]}, 3, 0.1)
REFERENCE = SampleVectors(
    {kind: np.array([spell_item(each) for each in those[:8]]) for kind, those in PLAN.items.items()}
)


@contextmanager
def give(side: PeerSide) -> Iterator[PeerSide]:
    yield side


@contextmanager
def refuse() -> Iterator[PeerSide]:
    raise PeerUnavailable("cannot be installed: No matching distribution")
    yield


def make_result(name: str, rate: float) -> SideResult:
    return SideResult(name, "fp32", 0.99999, {load: [rate, rate * 2] for load in LOADS}, 1000.0)


def test_a_page_of_a_file_counts_once_in_a_tree_and_other_memory_by_its_share() -> None:
    assert sum_kilobytes([SMAPS]) == 15 + 5 + 280 + 40
    assert sum_kilobytes([SMAPS, SMAPS]) == 2 * (15 + 5 + 40) + 280


def test_only_the_side_whose_turn_it_is_runs() -> None:
    with subprocess.Popen(("sleep", "60")) as first, subprocess.Popen(("sleep", "60")) as second:
        try:
            with stopped_between_turns([[first.pid], [second.pid]]):
                assert becomes(first.pid, "T") and becomes(second.pid, "T")
                with turn([second.pid]):
                    assert becomes(first.pid, "T") and becomes(second.pid, "S")
                assert becomes(second.pid, "T")
            assert becomes(first.pid, "S") and becomes(second.pid, "S")
        finally:
            first.kill()
            second.kill()


def becomes(pid: int, state: str) -> bool:
    """Whether the kernel shows that state of a process soon: T stopped, S waiting."""
    end = time.monotonic() + 5
    while (shown := Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]) != state:
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return shown == state


def test_a_loop_embeds_all_items_in_order_whatever_the_batch() -> None:
    items = [f"item {number}" * number for number in range(1, 20)]
    order = {"kind": "text", "items": items, "vectors": True}
    for batch in (1, 7, 64):
        assert answer(embed_all, {**order, "batch": batch})["vectors"] == [spell_item(item) for item in items]


def test_a_measured_loop_ends_with_the_time_or_the_items() -> None:
    items = [str(number) for number in range(50)]
    order = {"kind": "text", "items": items, "batch": 8}
    assert answer(embed_all, {**order, "seconds": 1000})["items"] == 42  # the first batch is the warm-up
    assert answer(embed_all, {**order, "seconds": 0})["items"] >= 1


def test_all_sides_get_the_same_items_in_every_round() -> None:
    fast, slow = CountingSide(10.0), CountingSide(5.0)
    starts = [SideStart("fast", "fp32", give(fast)), SideStart("slow", "fp32", give(slow))]
    results = measure_sides(PLAN, starts, REFERENCE, Report("rates"))
    assert fast.seen == slow.seen
    assert len({item for kind, _, item in fast.seen if kind == "image"}) == PLAN.rounds
    assert [len(result.rates[load]) for result in results for load in LOADS] == [PLAN.rounds] * 2 * len(LOADS)


def test_a_side_that_cannot_run_or_computes_other_vectors_is_a_note_and_no_row() -> None:
    report = Report("rates")
    starts = [
        SideStart("missing", "fp32", refuse()),
        SideStart("other model", "fp32", give(CountingSide(10.0, mistake=-1e6))),
        SideStart("same model", "fp32", give(CountingSide(10.0))),
    ]
    assert [each.name for each in measure_sides(PLAN, starts, REFERENCE, report)] == ["same model"]
    assert report.notes[0] == "missing: cannot be installed: No matching distribution"
    assert report.notes[1].startswith("other model: computes other vectors: cosine ")


@pytest.mark.parametrize(("precision", "accepted"), [("fp32", 0.9995), ("bf16", 0.9995), ("int8", 0.985)])
def test_vectors_of_another_model_are_refused_and_rounding_is_not(precision: str, accepted: float) -> None:
    check_cosine(accepted, precision)
    for cosine in (0.9, float("nan")):
        with pytest.raises(PeerUnavailable, match="at least"):
            check_cosine(cosine, precision)


def test_vectors_of_files_are_compared_by_name() -> None:
    rows = np.eye(3, dtype=np.float32)
    run = IndexRun(1.0, ["c.jpg", "a.jpg", "b.jpg"], rows[[2, 0, 1]])
    assert compare_names(run, FileVectors(["a.jpg", "b.jpg"], rows[:2])) == 1
    with pytest.raises(PeerUnavailable, match=r"no vector of d\.jpg"):
        compare_names(run, FileVectors(["d.jpg"], rows[:1]))


def test_a_rate_in_which_a_peer_is_ahead_is_a_sentence() -> None:
    figures = list(list_figures([make_result(OWN, 20.0), make_result("quick", 40.0), make_result("slow", 10.0)]))
    assert len(figures) == 2 * (len(LOADS) + 1)
    losses = list_losses(figures)
    assert len(losses) == len(LOADS)
    assert all(loss.startswith("quick, fp32 is ahead") and "ratio 0.5" in loss for loss in losses)


def test_the_tables_have_a_line_for_each_side_and_each_peer() -> None:
    results = [make_result(OWN, 20.0), make_result("quick", 40.0), make_result("slow", 10.0)]
    assert len(list(format_rates(results))) == 2 + 3
    ratios = list(format_ratios(results))
    assert [line.split(" | ")[1] for line in ratios[2:]] == ["0.5 (0.5-0.5)", "2 (2-2)"]


def test_an_installed_environment_is_used_until_a_pin_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    package = PeerPackage("some-peer", "MIT", ("some-peer==1.0",))
    folder = tmp_path / "clip-vectorizer" / "peers" / "some-peer"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    (folder / STAMP).write_text("some-peer==1.0\n")
    assert find_python(package) == folder / "bin" / "python"


def test_every_requirement_is_pinned_and_every_licence_named() -> None:
    for package in (*PACKAGES, EXPORTER):
        assert package.licence
        assert all("==" in requirement for requirement in package.requirements)


def test_the_page_has_a_place_for_every_table() -> None:
    names = list_sections((REPOSITORY / "docs" / "performance.md").read_text(encoding="utf-8"))
    tables = {"rates", "ratios", "folders", "packages"}
    assert {f"peers-{table}" for table in tables} <= set(names)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--only", "container-open_clip"], "--upstream FOLDER"),
        (["--write", "--quick"], "remove --only and --quick"),
        (["--write", "--only", "rclip"], "remove --only and --quick"),
    ],
)
def test_options_that_do_not_work_together_are_refused(words: list[str], sentence: str) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert sentence in result.output


class InfinityHandler(BaseHTTPRequestHandler):
    """infinity's answer; its vector depends on the bytes of the item."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        [item] = fields["input"]
        image = fields.get("modality") == "image"
        content = base64.b64decode(item.partition(",")[2]).decode() if image else item
        answer = json.dumps({"data": [{"embedding": spell_item(content)}], "path": self.path}).encode()
        self.send_response(200 if self.path == "/embeddings" else 404)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Keep standard error empty."""


@pytest.fixture
def infinity() -> Iterator[ServerSide]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), InfinityHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield ServerSide(Server("infinity", f"http://127.0.0.1:{server.server_port}", 0), INFINITY_INTERFACE)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_of_another_interface_is_driven_and_its_vectors_read(infinity: ServerSide, tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(40)]
    files = [tmp_path / f"{text}.jpg" for text in texts]
    for file, text in zip(files, texts, strict=True):
        file.write_bytes(text.encode())
    items: dict[Kind, list[str]] = {"image": list(map(str, files)), "text": texts}
    for kind in items:
        assert infinity.measure(kind, items[kind], 4, 0.2) > 0
    rows = embed_samples(infinity, items).rows
    np.testing.assert_array_equal(rows["image"], rows["text"])
    np.testing.assert_array_equal(rows["text"], np.array([spell_item(text) for text in texts], np.float32))
