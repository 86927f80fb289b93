"""A child process that ends with its parent, even a killed one, and writes a log."""

import contextlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from clip_vectorizer import supervisor

STOP_SECONDS = supervisor.GRACE_SECONDS + 4  # the supervisor kills before that
TAIL_LINES = 15


class ChildProcess:
    """One command under a supervisor (supervisor.py). Its output goes to `log`; Ctrl-C does not reach it."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        held_files: Sequence[int] = (),
    ) -> None:
        """Start the command. `held_files` are descriptors (of locks) that stay open until the command ends."""
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor.__file__, *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                pass_fds=held_files,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process of the supervisor; the command is its only child."""
        return self._supervisor.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._supervisor.poll()

    def wait(self, seconds: float) -> int | None:
        """The exit code, or None when it still runs after `seconds`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._supervisor.wait(seconds)
        return None

    def stop(self) -> None:
        """End the command and wait for it: SIGTERM, then SIGKILL."""
        if self._supervisor.stdin and not self._supervisor.stdin.closed:
            self._supervisor.stdin.close()
        if self.wait(STOP_SECONDS) is None:
            self._supervisor.kill()
            self._supervisor.wait()

    def last_lines(self, count: int = TAIL_LINES) -> str:
        lines = self.log.read_text("utf-8", errors="replace").splitlines()
        return "\n".join(lines[-count:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
