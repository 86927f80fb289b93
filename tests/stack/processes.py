"""Which processes and ports are alive."""

import socket
import subprocess
import time
from collections.abc import Callable
from urllib.parse import urlsplit


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
