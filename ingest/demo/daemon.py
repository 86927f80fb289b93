"""The process in the background that runs a stack until SIGTERM: `python -m ingest.demo.daemon MODEL`."""

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
LOCK_SECONDS = 5.0  # a `clip-demo` that checks for a running stack holds the lock for a moment


def main(model: str) -> None:
    signal.signal(signal.SIGTERM, exit_on_signal)
    files = list_daemon_files(os.environ)
    try:
        with hold_lock(files.lock, LOCK_SECONDS):
            run_stack(model, files)
    except LockHeld:
        sys.exit("error: another stack is in the background; `clip-demo down` ends it")
    except VectorizerError as error:
        sys.exit(f"error: {error}")


def exit_on_signal(*_: object) -> NoReturn:
    sys.exit(0)  # raises SystemExit, so every `with` stops its child


def run_stack(model: str, files: DaemonFiles) -> None:
    try:
        write_state(files.state, DaemonState(os.getpid(), model))
        with LocalStack(model, choose_data_dir(model, os.environ)) as stack:
            write_state(files.state, DaemonState(os.getpid(), model, read_stack_endpoints(stack)))
            while stack.is_running:
                time.sleep(POLL_SECONDS)
            raise StackError("Weaviate or the sidecar ended by itself")
    finally:
        files.state.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1])
