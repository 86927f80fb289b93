"""Start and stop the stack in the background, and the search page beside it: `clip-demo up` and `clip-demo down`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

from clip_vectorizer.errors import StackError
from ingest.demo import daemon
from ingest.demo.places import Endpoints
from ingest.demo.state import HOW_TO_END, DaemonFiles, DaemonState, find_running, list_daemon_files
from ingest.embedded import StepProgress, find_weaviate

GALLERY_TIMEOUT_SECONDS = 200.0  # longer than all tries of the daemon, whose errors are more specific
START_TIMEOUT_SECONDS = 1000.0  # longer than the limits of Weaviate and of the sidecar, whose errors are more specific
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1
DAEMON_MODULE = daemon.__name__


def start_background(model: str, progress: StepProgress, env: Mapping[str, str]) -> Endpoints:
    """Return the endpoints of the stack in the background; start it if none runs. Raises StackError."""
    files = list_daemon_files(env)
    state = find_running(files)
    if state is None:
        find_weaviate(progress, env)  # here and not in the daemon, so that its progress is visible
        return start_daemon(model, files, progress)
    if state.model != model:
        raise StackError(f"a stack with the model {state.model} is in the background; `clip-demo down` ends it")
    return state.endpoints or wait_for_endpoints(files, None, progress)


def start_daemon(model: str, files: DaemonFiles, progress: StepProgress) -> Endpoints:
    command = [sys.executable, "-P", "-m", DAEMON_MODULE, model]
    files.log.parent.mkdir(parents=True, exist_ok=True)
    with files.log.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        return wait_for_endpoints(files, process, progress)
    except BaseException:
        process.terminate()
        process.wait(STOP_SECONDS)
        raise
    finally:
        process.returncode = process.returncode or 0  # it lives on: no ResourceWarning


def wait_for_endpoints(
    files: DaemonFiles, process: subprocess.Popen[bytes] | None, progress: StepProgress
) -> Endpoints:
    progress.step("starting Weaviate and the sidecar in the background")
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        state = find_running(files)
        if state and state.endpoints:
            return state.endpoints
        if state is None and (process is None or process.poll() is not None):
            raise StackError(f"the stack in the background ended while it started: {read_failure(files)}")
        time.sleep(POLL_SECONDS)
    raise StackError(f"the stack in the background is not ready after {START_TIMEOUT_SECONDS:.0f} s; see {files.log}")


def start_gallery(progress: StepProgress, env: Mapping[str, str]) -> str:
    """Return the address of the search page beside the stack in the background; start it if none runs.

    Raises StackError, also where no stack runs.
    """
    files = list_daemon_files(env)
    before = find_daemon(files)
    if before is None:
        raise StackError("no stack is in the background; start one with `clip-demo up`")
    if before.gallery_url:
        return before.gallery_url
    progress.step("starting the search page in the background")
    os.kill(before.pid, daemon.GALLERY_SIGNAL)
    deadline = time.monotonic() + GALLERY_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        state = find_running(files)
        if state is None:
            raise StackError(f"the stack in the background ended: {read_failure(files)}")
        if state.gallery_url:
            return state.gallery_url
        if len(state.gallery_errors) > len(before.gallery_errors):
            raise StackError(state.gallery_errors[-1])
        time.sleep(POLL_SECONDS)
    raise StackError(f"the search page is not ready after {GALLERY_TIMEOUT_SECONDS:.0f} s; see {files.gallery_log}")


def read_failure(files: DaemonFiles) -> str:
    return files.log.read_text("utf-8", errors="replace").strip().removeprefix("error: ") or f"see {files.log}"


def stop_background(env: Mapping[str, str]) -> DaemonState | None:
    """Stop the stack in the background and return its state; None if none runs. Raises StackError."""
    files = list_daemon_files(env)
    state = find_daemon(files)
    if state is None:
        return None
    os.kill(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while find_running(files):
        if time.monotonic() > deadline:
            os.kill(state.pid, signal.SIGKILL)  # its children end with it
            break
        time.sleep(POLL_SECONDS)
    return state


def find_daemon(files: DaemonFiles) -> DaemonState | None:
    """Return the state of the stack in the background, if one runs. Raises StackError for another process's number."""
    state = find_running(files)
    if state and not is_daemon(state.pid):
        raise StackError(f"process {state.pid} in {files.state} is not a stack of clip-demo; {HOW_TO_END}")
    return state


def is_daemon(pid: int) -> bool:
    """Whether the process is our daemon: never signal a process only because its number is in a file."""
    listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return DAEMON_MODULE in listed.stdout
