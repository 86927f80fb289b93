"""No process outlives the one that started the stack, not even when that one is killed."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.stack

HOLD_A_STACK = """
import json, sys, time
from pathlib import Path
from ingest.embedded import LocalStack
with LocalStack("emoji", Path(sys.argv[1])) as stack:
    grpc = f"http://127.0.0.1:{stack.weaviate.grpc_port}"
    print(json.dumps([stack.weaviate.url, stack.sidecar.url, grpc]), flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda ending: ending.name)
def test_a_stack_ends_with_the_process_that_holds_it(tmp_path: Path, ending: signal.Signals) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD_A_STACK, tmp_path], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        line = holder.stdout.readline()
        assert line, "the stack did not start"
        urls, children = json.loads(line), descendants(holder.pid)
        assert all(listening(url) for url in urls)
        assert len(children) >= 2  # Weaviate and the sidecar
        holder.send_signal(ending)
    assert eventually(lambda: not alive(children)), f"still running: {alive(children)}"
    assert not any(listening(url) for url in urls)


def descendants(parent: int) -> list[int]:
    """The processes that `parent` started, and those that they started."""
    parents = {pid: above for pid, above, _ in processes()}
    children = [pid for pid, above in parents.items() if above == parent]
    return children + [pid for child in children for pid in descendants(child)]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid, _, state in processes() if pid in pids and not state.startswith("Z")]


def processes() -> list[tuple[int, int, str]]:
    """Every process of this machine: id, parent's id, state."""
    table = subprocess.run(["ps", "-axo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    return [(int(pid), int(above), state) for pid, above, state in map(str.split, table.splitlines())]


def listening(url: str) -> bool:
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname or "", address.port or 0), timeout=1).close()
    except OSError:
        return False
    return True


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether `condition` comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
