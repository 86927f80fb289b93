"""The process in the background that holds a stack until it is told to end: `python -m ingest.demo.daemon MODEL`."""

import os
import signal
import sys
import time
from typing import NoReturn

from clip_vectorizer.errors import StackError, VectorizerError
from ingest.demo.places import choose_data_dir, read_stack_endpoints
from ingest.demo.state import DaemonFiles, DaemonState, list_daemon_files, write_state
from ingest.embedded import LocalStack
from ingest.embedded.files import LockHeld, hold_lock

POLL_SECONDS = 1.0
LOCK_SECONDS = 5.0  # a `clip-demo` that looks whether a stack runs holds the lock for a moment


def main(model: str) -> None:
    signal.signal(signal.SIGTERM, exit_on_signal)
    where = list_daemon_files(os.environ)
    try:
        with hold_lock(where.lock, LOCK_SECONDS):
            run_stack(model, where)
    except LockHeld:
        sys.exit("error: another stack is in the background")
    except VectorizerError as error:
        sys.exit(f"error: {error}")


def exit_on_signal(*_: object) -> NoReturn:
    sys.exit(0)  # an exception: every `with` on the way out stops its child


def run_stack(model: str, where: DaemonFiles) -> None:
    try:
        write_state(where.state, DaemonState(os.getpid(), model))
        with LocalStack(model, choose_data_dir(model, os.environ)) as stack:
            write_state(where.state, DaemonState(os.getpid(), model, read_stack_endpoints(stack)))
            while stack.runs:
                time.sleep(POLL_SECONDS)
            raise StackError("Weaviate or the sidecar ended by itself")
    finally:
        where.state.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1])
