"""The process in the background that holds a stack until it is told to end: `python -m ingest.demo.holder MODEL`."""

import os
import signal
import sys
import time
from typing import NoReturn

from clip_vectorizer.errors import StackError, VectorizerError
from ingest.demo.places import data_dir, endpoints_of
from ingest.demo.state import Files, State, files, write
from ingest.embedded import LocalStack
from ingest.embedded.lock import Busy, locked

LOOK_SECONDS = 1.0
LOCK_SECONDS = 5.0  # a `clip-demo` that looks whether a stack runs holds the lock for a moment


def main(model: str) -> None:
    signal.signal(signal.SIGTERM, end)
    where = files(os.environ)
    try:
        with locked(where.lock, LOCK_SECONDS):
            hold(model, where)
    except Busy:
        sys.exit("error: another stack is in the background")
    except VectorizerError as error:
        sys.exit(f"error: {error}")


def end(*_: object) -> NoReturn:
    sys.exit(0)  # an exception: every `with` on the way out stops its child


def hold(model: str, where: Files) -> None:
    try:
        write(where.state, State(os.getpid(), model))
        with LocalStack(model, data_dir(model, os.environ)) as stack:
            write(where.state, State(os.getpid(), model, endpoints_of(stack)))
            while stack.runs:
                time.sleep(LOOK_SECONDS)
            raise StackError("Weaviate or the sidecar ended by itself")
    finally:
        where.state.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1])
