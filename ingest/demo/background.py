"""A stack that outlives its command: `clip-demo up` and `clip-demo down`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

from clip_vectorizer.errors import StackError
from ingest.demo import holder
from ingest.demo.places import Endpoints
from ingest.demo.state import BY_HAND, Files, State, files, running
from ingest.embedded import Progress, find_weaviate

START_SECONDS = 1000.0  # longer than Weaviate's and the sidecar's own limits, which say more
STOP_SECONDS = 30.0
LOOK_SECONDS = 0.1
HOLDER = holder.__name__


def up(model: str, progress: Progress, env: Mapping[str, str]) -> Endpoints:
    """Where the stack in the background answers; started if none runs. Raises StackError."""
    where = files(env)
    state = running(where)
    if state is None:
        find_weaviate(progress, env)  # here, where its progress can be seen
        return start(model, where, progress)
    if state.model != model:
        raise StackError(f"a stack with the model {state.model} is in the background; `clip-demo down` ends it")
    return state.endpoints or wait_for_endpoints(where, None, progress)


def start(model: str, where: Files, progress: Progress) -> Endpoints:
    command = [sys.executable, "-P", "-m", HOLDER, model]
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


def wait_for_endpoints(where: Files, process: subprocess.Popen[bytes] | None, progress: Progress) -> Endpoints:
    progress.step("starting Weaviate and the sidecar in the background")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        state = running(where)
        if state and state.endpoints:
            return state.endpoints
        if state is None and (process is None or process.poll() is not None):
            raise StackError(f"the stack in the background ended while it started: {told(where)}")
        time.sleep(LOOK_SECONDS)
    raise StackError(f"the stack in the background is not ready after {START_SECONDS:.0f} s; see {where.log}")


def told(where: Files) -> str:
    return where.log.read_text("utf-8", errors="replace").strip().removeprefix("error: ") or f"see {where.log}"


def down(env: Mapping[str, str]) -> State | None:
    """Ends the stack in the background and says which it was; None if none runs. Raises StackError."""
    where = files(env)
    state = running(where)
    if state is None:
        return None
    if not is_holder(state.pid):
        raise StackError(f"process {state.pid} of {where.state} is not a stack of ours; {BY_HAND}")
    os.kill(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running(where):
        if time.monotonic() > deadline:
            os.kill(state.pid, signal.SIGKILL)  # its children notice and end
            break
        time.sleep(LOOK_SECONDS)
    return state


def is_holder(pid: int) -> bool:
    """The state file's lock is held, so its process lives; but never end a process on the word of a file alone."""
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return HOLDER in shown.stdout
