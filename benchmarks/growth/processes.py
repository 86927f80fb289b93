"""Memory and processor time of a server's process, from Linux's /proc."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
KIB = 1 << 10
PROCESSES = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """Bytes that are resident: all of them, with shared pages divided, and those that are no file's (the heap)."""

    rss: int
    pss: int
    anonymous: int


def find_listener(port: int) -> int:
    """Return the number of the process with `--port PORT` in its command line. Raises RuntimeError if none has it.

    Its supervisor has the same words; it is the parent.
    """
    wanted = [b"--port", str(port).encode()]
    found = [pid for pid, words in list_commands() if is_part(wanted, words)]
    servers = [pid for pid in found if not any(is_parent(pid, other) for other in found)]
    if not servers:
        raise RuntimeError(f"no process listens with --port {port}; memory is measured on Linux alone")
    return servers[0]


def is_part(wanted: list[bytes], words: list[bytes]) -> bool:
    return any(words[start : start + len(wanted)] == wanted for start in range(len(words)))


def is_parent(pid: int, other: int) -> bool:
    return read_stat(other)[1] == str(pid)


def list_commands() -> Iterator[tuple[int, list[bytes]]]:
    for folder in PROCESSES.iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:  # it has ended
                continue
            yield int(folder.name), words


def read_stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name, which may have blanks in it."""
    return (PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()


def read_cpu_seconds(pid: int) -> float:
    """Return seconds of all cores, user and system, since its start."""
    fields = read_stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def read_process_memory(pid: int) -> ProcessMemory:
    values = {}
    for line in (PROCESSES / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0]) * KIB
    return ProcessMemory(values["Rss"], values["Pss"], values["Anonymous"])
