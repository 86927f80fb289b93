import os
import subprocess
from pathlib import Path

import pytest

from clip_vectorizer.child_process import ChildProcess
from ingest.embedded.files import LockHeld, hold_lock
from tests.ingest.embedded.processes import eventually, number_in, python

HOLD = """
import os, sys, time
from pathlib import Path
from ingest.embedded.files import hold_lock
with hold_lock(Path(sys.argv[1]), 0):
    open(sys.argv[2], "w").write(f"{os.getpid()}\\n")
    time.sleep(600)
"""


def is_free(path: Path) -> bool:
    try:
        with hold_lock(path, 0):
            return True
    except LockHeld:
        return False


def test_a_lock_keeps_others_out_until_it_is_left(tmp_path: Path) -> None:
    with hold_lock(tmp_path / "lock", 0):
        assert not is_free(tmp_path / "lock")
    assert is_free(tmp_path / "lock")


def test_who_waits_is_told_once_and_then_busy(tmp_path: Path) -> None:
    told: list[str] = []
    with (
        hold_lock(tmp_path / "lock", 0),
        pytest.raises(LockHeld),
        hold_lock(tmp_path / "lock", 0.5, lambda: told.append("wait")),
    ):
        pass
    assert told == ["wait"]


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    holder = subprocess.Popen(python(HOLD, tmp_path / "lock", tmp_path / "pid"))
    number_in(tmp_path / "pid")
    assert not is_free(tmp_path / "lock")
    holder.kill()
    holder.wait()
    assert eventually(lambda: is_free(tmp_path / "lock"))


def test_a_child_that_was_given_the_lock_holds_it_until_it_ends(tmp_path: Path) -> None:
    with hold_lock(tmp_path / "lock", 0) as descriptor:
        child = ChildProcess(
            python("import time; time.sleep(600)"), tmp_path / "log", os.environ, held_files=[descriptor]
        )
    assert not is_free(tmp_path / "lock")
    child.stop()
    assert eventually(lambda: is_free(tmp_path / "lock"))
