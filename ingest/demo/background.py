"""A stack that outlives its command: `clip-demo up` and `clip-demo down`."""

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

START_TIMEOUT_SECONDS = 1000.0  # longer than Weaviate's and the sidecar's own limits, which say more
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1
DAEMON_MODULE = daemon.__name__


def start_background(model: str, progress: StepProgress, env: Mapping[str, str]) -> Endpoints:
    """Where the stack in the background answers; started if none runs. Raises StackError."""
    where = list_daemon_files(env)
    state = find_running(where)
    if state is None:
        find_weaviate(progress, env)  # here, where its progress can be seen
        return start_daemon(model, where, progress)
    if state.model != model:
        raise StackError(f"a stack with the model {state.model} is in the background; `clip-demo down` ends it")
    return state.endpoints or wait_for_endpoints(where, None, progress)


def start_daemon(model: str, where: DaemonFiles, progress: StepProgress) -> Endpoints:
    command = [sys.executable, "-P", "-m", DAEMON_MODULE, model]
    where.log.parent.mkdir(parents=True, exist_ok=True)
    with where.log.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        return wait_for_endpoints(where, process, progress)
    except BaseException:
        process.terminate()
        process.wait(STOP_SECONDS)
        raise
    finally:
        process.returncode = process.returncode or 0  # it lives on, which is no leak: subprocess need not warn


def wait_for_endpoints(
    where: DaemonFiles, process: subprocess.Popen[bytes] | None, progress: StepProgress
) -> Endpoints:
    progress.step("starting Weaviate and the sidecar in the background")
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        state = find_running(where)
        if state and state.endpoints:
            return state.endpoints
        if state is None and (process is None or process.poll() is not None):
            raise StackError(f"the stack in the background ended while it started: {read_failure(where)}")
        time.sleep(POLL_SECONDS)
    raise StackError(f"the stack in the background is not ready after {START_TIMEOUT_SECONDS:.0f} s; see {where.log}")


def read_failure(where: DaemonFiles) -> str:
    return where.log.read_text("utf-8", errors="replace").strip().removeprefix("error: ") or f"see {where.log}"


def stop_background(env: Mapping[str, str]) -> DaemonState | None:
    """Ends the stack in the background and says which it was; None if none runs. Raises StackError."""
    where = list_daemon_files(env)
    state = find_running(where)
    if state is None:
        return None
    if not is_daemon(state.pid):
        raise StackError(f"process {state.pid} of {where.state} is not a stack of ours; {HOW_TO_END}")
    os.kill(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while find_running(where):
        if time.monotonic() > deadline:
            os.kill(state.pid, signal.SIGKILL)  # its children notice and end
            break
        time.sleep(POLL_SECONDS)
    return state


def is_daemon(pid: int) -> bool:
    """The state file's lock is held, so its process lives; but never end a process on the word of a file alone."""
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return DAEMON_MODULE in shown.stdout
