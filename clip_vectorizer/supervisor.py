"""Runs one command until its owner closes standard input, then ends it: `supervisor.py COMMAND ARGUMENT...`

An owner that is killed cannot clean up, but the system closes its end of the pipe, which is the signal to end.
A bare interpreter runs this file, so it may import the standard library alone.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 8.0  # Weaviate flushes its memtables at its end
POLL_SECONDS = 1.0  # how often to check for an owner whose pipe a forked process keeps open
PR_SET_PDEATHSIG = 1  # prctl(2)


def main(command: list[str]) -> int:
    owner = os.getppid()
    if sys.platform == "linux":
        # The file descriptors handed down carry locks that live as long as the command.
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False, preexec_fn=end_with_supervisor)
    else:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    threading.Thread(target=end_with_owner, args=(child, owner), daemon=True).start()
    return child.wait()


def end_with_supervisor() -> None:
    """Linux only: the command gets SIGTERM even when this process is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end_with_owner(child: subprocess.Popen[bytes], owner: int) -> None:
    while os.getppid() == owner:
        readable, _, _ = select.select([0], [], [], POLL_SECONDS)
        if readable and not os.read(0, 1):
            break
    child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.exit(status if status >= 0 else 128 - status)
