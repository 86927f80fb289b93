"""CPU seconds of processes, from /proc: on shared cores they say more than a clock on the wall. Linux only."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
OWN = "clip-ingest"


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds of the wall, and of the CPU by the name of the process."""

    wall: float
    cpu: Mapping[str, float]

    def since(self, before: "CpuTimes") -> "CpuTimes":
        return CpuTimes(self.wall - before.wall, {name: self.cpu[name] - before.cpu[name] for name in self.cpu})

    def per_item(self, count: int) -> "CpuTimes":
        """In milliseconds."""
        return CpuTimes(1e3 * self.wall / count, {name: 1e3 * each / count for name, each in self.cpu.items()})

    @property
    def total(self) -> float:
        return sum(self.cpu.values())


@dataclass(frozen=True, slots=True)
class CpuClock:
    """Reads this process, its ended children, and others by their number."""

    pids: Mapping[str, int]

    def read(self) -> CpuTimes:
        own = os.times()
        here = own.user + own.system + own.children_user + own.children_system
        return CpuTimes(time.monotonic(), {OWN: here, **{name: read_seconds(pid) for name, pid in self.pids.items()}})


def read_seconds(pid: int) -> float:
    """CPU seconds of a process and all its threads: user and system, fields 14 and 15 of proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def find_descendant(name: str) -> int:
    """Return the process that this one started, perhaps through others. Raises LookupError."""
    for pid in list_descendants(os.getpid()):
        if Path(f"/proc/{pid}/comm").read_text().strip() == name:
            return pid
    raise LookupError(f"no process {name} was started here")


def list_descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from list_descendants(child)
