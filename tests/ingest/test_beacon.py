"""What an ingest tells of itself, for the page of clip-gallery."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.ingest_state import DEAD_SECONDS, IngestState, read_state, read_states, write_state
from ingest.beacon import IngestBeacon
from ingest.job import IngestJob
from ingest.report import IngestReport
from ingest.watch import RoundComplete

JOB = IngestJob(["x"], ConnectionSettings("http://localhost:8080", 50051, None, None, None), collection="Photo")
OLD = IngestState("127.0.0.1:8080", "Photo", None, 1, 0, 0)
WRONG = json.dumps(asdict(OLD) | {"beat": "x"}).encode()


def build(folder: Path) -> IngestBeacon:
    return IngestBeacon(folder, JOB, lambda now, done: done / 2)


def list_states(folder: Path) -> list[IngestState]:
    return [state for _, state in read_states(folder)]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_running_ingest_beats_and_its_end_is_told(tmp_path: Path) -> None:
    report = IngestReport(seen=50, complete=True, added=10, unchanged=2)
    with build(tmp_path) as beacon:
        beacon(report, object())
        wait_for(lambda: any(state.stored == 12 for state in list_states(tmp_path)))
        [state] = list_states(tmp_path)
        assert (state.collection, state.database, state.seen, state.complete) == ("Photo", "127.0.0.1:8080", 50, True)
        assert state.find_status(time.time()) == "running" and state.rate == 6.0
        assert state.find_status(state.beat + DEAD_SECONDS + 1) == "stopped", "a killed process beats no more"
        beacon(report, RoundComplete())
        wait_for(lambda: list_states(tmp_path)[0].status == "watching")
        report.added = 48
    [state] = list_states(tmp_path)
    assert (state.status, state.stored) == ("finished", 50)


def test_an_ingest_that_fails_says_that_it_stopped(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), build(tmp_path):
        raise KeyboardInterrupt
    assert [each.status for each in list_states(tmp_path)] == ["stopped"]


def test_the_next_ingest_removes_what_earlier_ones_of_the_same_images_left(tmp_path: Path) -> None:
    now = time.time()
    write_state(tmp_path / "dead.json", OLD)
    write_state(tmp_path / "ended.json", replace(OLD, beat=now, status="finished"))
    write_state(tmp_path / "other.json", replace(OLD, beat=now, status="finished", collection="Other"))
    write_state(tmp_path / "beside.json", replace(OLD, beat=now))
    with build(tmp_path):
        wait_for(lambda: not (tmp_path / "ended.json").exists() and len(list_states(tmp_path)) == 3)
    assert not (tmp_path / "dead.json").exists()
    assert (tmp_path / "other.json").exists() and (tmp_path / "beside.json").exists()


@pytest.mark.parametrize("folder", [Path("/dev/null/x"), Path("/proc/x")])
def test_a_folder_that_cannot_be_written_disturbs_no_ingest(folder: Path) -> None:
    with build(folder) as beacon:
        beacon(IngestReport(), object())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": 1}', b"\xff", WRONG])
def test_a_file_that_is_no_state_is_left_out(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(content)
    assert read_state(tmp_path / "x.json") is None and list_states(tmp_path) == []
