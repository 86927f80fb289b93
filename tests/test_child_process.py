import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clip_vectorizer.child_process import ChildProcess
from tests.ingest.embedded.processes import eventually, lives, number_in, python

WRITE_PID_AND_SLEEP = """
import os, sys, time
open(sys.argv[1], "w").write(f"{os.getpid()}\\n")
time.sleep(600)
"""
IGNORES_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + WRITE_PID_AND_SLEEP
HOLDER = """
import sys, time
from pathlib import Path
from clip_vectorizer.child_process import ChildProcess
folder = Path(sys.argv[1])
child = ChildProcess([sys.executable, "-c", sys.argv[2], str(folder / "pid")], folder / "log")
time.sleep(600)
"""


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(python(HOLDER, tmp_path, WRITE_PID_AND_SLEEP))
    pid = number_in(tmp_path / "pid")
    parent.kill()
    parent.wait()
    assert eventually(lambda: not lives(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to one that is killed")
def test_a_child_ends_when_its_keeper_is_killed(tmp_path: Path) -> None:
    with ChildProcess(python(WRITE_PID_AND_SLEEP, tmp_path / "pid"), tmp_path / "log") as child:
        pid = number_in(tmp_path / "pid")
        subprocess.run(["kill", "-9", str(child.pid)], check=True)
        assert eventually(lambda: not lives(pid))


def test_ctrl_c_in_the_terminal_is_the_parents_to_handle(tmp_path: Path) -> None:
    with ChildProcess(python(WRITE_PID_AND_SLEEP, tmp_path / "pid"), tmp_path / "log") as child:
        pid = number_in(tmp_path / "pid")
        assert child.exit_code is None
        shown = subprocess.run(["ps", "-o", "pgid=", "-p", str(pid)], capture_output=True, text=True, check=True)
        assert int(shown.stdout) == child.pid  # its own process group: a terminal's SIGINT goes to ours


def test_stop_ends_a_child_that_ignores_sigterm(tmp_path: Path) -> None:
    child = ChildProcess(python(IGNORES_SIGTERM, tmp_path / "pid"), tmp_path / "log")
    pid = number_in(tmp_path / "pid")
    child.stop()
    assert not lives(pid)


def test_stop_may_be_called_twice(tmp_path: Path) -> None:
    child = ChildProcess(python("pass"), tmp_path / "log")
    child.stop()
    child.stop()


def test_the_exit_code_and_the_last_lines_are_the_commands(tmp_path: Path) -> None:
    with ChildProcess(python("import sys; print('one\\ntwo\\nthree'); sys.exit(7)"), tmp_path / "log") as child:
        assert eventually(lambda: child.exit_code is not None)
        assert child.exit_code == 7
        assert child.last_lines(2) == "two\nthree"


def test_a_command_ended_by_a_signal_gives_the_shells_exit_code(tmp_path: Path) -> None:
    script = f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"
    with ChildProcess(python(script), tmp_path / "log") as child:
        assert child.wait(60) == 128 + signal.SIGKILL
