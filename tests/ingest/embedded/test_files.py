"""Lock files between real processes, and the check of free disk space."""

import os
import subprocess
from pathlib import Path

import pytest

from clip_vectorizer.child_process import ChildProcess
from clip_vectorizer.errors import StackError
from ingest.embedded.files import LockHeld, check_disk_space, hold_lock
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


def test_a_waiting_caller_is_notified_once_and_then_gets_lock_held(tmp_path: Path) -> None:
    calls: list[str] = []
    with (
        hold_lock(tmp_path / "lock", 0),
        pytest.raises(LockHeld),
        hold_lock(tmp_path / "lock", 0.5, lambda: calls.append("wait")),
    ):
        pass
    assert calls == ["wait"]


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


def test_enough_room_is_no_error_and_makes_the_folder(tmp_path: Path) -> None:
    check_disk_space(tmp_path / "cache", 0.000001, "a test")
    assert (tmp_path / "cache").is_dir()


def test_the_error_of_too_little_space_states_how_much_where_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"building Weaviate needs 1e\+09 GB in .*; free some, or set XDG_CACHE_HOME"):
        check_disk_space(tmp_path, 1e9, "building Weaviate")
