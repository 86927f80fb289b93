"""Runs of clip-ingest that can be watched, killed and repeated: real processes, their output in files."""

import json
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.stack.faults.database import count
from tests.stack.faults.servers import World
from tests.stack.support import BIN, Ran, clean_environment

WAYS = {"module": ("--embed", "module"), "client": ("--embed", "client")}
OPTIONS = WAYS | {"reindex": ("--reindex",)}  # which embeds on the client, and takes no other way
BUCKETS = ("added", "updated", "unchanged", "failed")
DONE_SECONDS = 120.0  # no run of this matrix takes a tenth of that; a hang must end
LOOK_SECONDS = 0.01


@dataclass
class Job:
    """One command line: started, and started again, as often as a test likes."""

    world: World
    way: str
    collection: str
    words: tuple[str, ...]
    folder: Path  # for its output
    env: dict[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    _process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str | Path, limit_bytes: int | None = None) -> "Job":
        """Starts the command, with `more` words. `limit_bytes`: no file that it writes may grow past that."""
        stdin = self.folder / "stdin"
        stdin.write_bytes(self.stdin)
        command = [
            BIN / "clip-ingest",
            *self.words,
            *more,
            *OPTIONS[self.way],
            "--collection",
            self.collection,
            "--json",
        ]
        with stdin.open("rb") as source, self._out.open("wb") as out, self._err.open("wb") as err:
            env = clean_environment() | self.world.stack.env | self.env
            limit = partial(limit_files, limit_bytes) if limit_bytes else None
            self._process = subprocess.Popen(
                list(map(str, command)), stdin=source, stdout=out, stderr=err, env=env, preexec_fn=limit
            )
        return self

    @property
    def _out(self) -> Path:
        return self.folder / "stdout"

    @property
    def _err(self) -> Path:
        return self.folder / "stderr"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    @property
    def talk(self) -> str:
        return self._err.read_text(errors="replace")

    @property
    def stored(self) -> int:
        """How many objects the database has now."""
        return count(self.world.truth, self.collection)

    def until(self, condition: Callable[[], bool], what: str = "that moment") -> "Job":
        """Returns when `condition` is true; that the run ends or hangs before is an error."""
        deadline = time.monotonic() + DONE_SECONDS
        while not condition():
            code = self.process.poll()
            assert code is None, f"ended {code} before {what}:\n{self._out.read_text()}\n{self.talk}"
            assert time.monotonic() < deadline, f"{what} never came:\n{self.talk}"
            time.sleep(LOOK_SECONDS)
        return self

    def until_stored(self, number: int) -> "Job":
        return self.until(lambda: self.stored >= number, f"{number} objects were stored")

    def kill(self) -> None:
        """As `kill -9` does; a run that was over before is an error of the test."""
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL, f"over before it was killed:\n{self.talk}"

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def done(self, expect: int | None = 0, seconds: float = DONE_SECONDS) -> Ran:
        """How it ended. A traceback is an error, even if another result is expected."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            self.process.kill()
            raise AssertionError(f"still runs after {seconds:g} s:\n{self.talk}") from None
        ran = Ran(code, self._out.read_text(), self.talk)
        assert "Traceback" not in ran.stderr, ran.stderr[-1200:]
        if expect is not None:
            assert code == expect, f"{self.way}: ended {code}, not {expect}:\n{ran.stdout}\n{ran.stderr}"
        return ran

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def summary(ran: Ran) -> dict[str, Any]:
    """The one summary on stdout; its buckets add up to the files seen."""
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(rows) == 1, f"not one line of JSON:\n{ran.stdout}\n{ran.stderr}"
    found: dict[str, Any] = rows[0]
    assert found["seen"] == sum(found[bucket] for bucket in BUCKETS), found
    assert len(found["failures"]) == found["failed"], found
    return found


def buckets(ran: Ran) -> dict[str, int]:
    found = summary(ran)
    return {bucket: found[bucket] for bucket in BUCKETS}


def lines_of(report: Path) -> dict[str, dict[str, Any]]:
    """A report by key; every key once."""
    rows = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
    found = {row["key"]: row for row in rows}
    assert len(found) == len(rows), "an image is in the report twice"
    return found


def whole_sentence(text: str) -> bool:
    return "\n" not in text.strip() and len(text.split()) > 3


def items_requested(world: World) -> int:
    """How many items the real sidecar has answered since it started, from wherever it took them."""
    page = world.truth.sidecar("GET", "/metrics").text
    return sum(int(float(value)) for value in re.findall(r"^clip_items_total\{.*?\} (\S+)$", page, re.MULTILINE))


def together(jobs: Sequence[Job], *more: str | Path, expect: int | None = 0) -> list[Ran]:
    """All at once; how they ended, in order."""
    for job in jobs:
        job.start(*more)
    return [job.done(expect) for job in jobs]
