"""The process in the background that runs a stack until SIGTERM: `python -m ingest.demo.daemon MODEL`.

SIGUSR1 starts the search page beside it.
"""

import os
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import NoReturn

from clip_vectorizer.errors import StackError, VectorizerError
from ingest.demo.gallery import GalleryRequest, LocalGallery, update_gallery
from ingest.demo.places import choose_data_dir, read_stack_endpoints
from ingest.demo.state import DaemonFiles, DaemonState, list_daemon_files, write_state
from ingest.embedded import LocalStack
from ingest.embedded.files import LockHeld, hold_lock

POLL_SECONDS = 0.5
GALLERY_SIGNAL = signal.SIGUSR1
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
    request = GalleryRequest()
    signal.signal(GALLERY_SIGNAL, request.make)
    try:
        state = DaemonState(os.getpid(), model)
        write_state(files.state, state)
        with LocalStack(model, choose_data_dir(model, os.environ)) as stack, ExitStack() as resources:
            state = replace(state, endpoints=read_stack_endpoints(stack))
            write_state(files.state, state)
            gallery = LocalGallery(read_stack_endpoints(stack), files.gallery_log)
            resources.callback(gallery.stop)
            while stack.is_running:
                before, state = state, update_gallery(state, gallery, request.take())
                if state != before:
                    write_state(files.state, state)
                time.sleep(POLL_SECONDS)
            raise StackError("Weaviate or the sidecar ended by itself")
    finally:
        files.state.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1])
