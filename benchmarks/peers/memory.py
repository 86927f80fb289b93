"""The memory of a process and its children, as if no other process were on the machine.

PSS shares the pages of a file among all processes that map it, so a peer whose libraries another peer has loaded would
seem smaller. Here a page of a file counts once for each tree; all others count by their PSS.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.peers.turns import list_trees

HEAD = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ (?P<offset>[0-9a-f]+) (?P<device>\S+) (?P<inode>\d+)")
KILOBYTE, MEGABYTE = 1024, 1_000_000


def read_megabytes(pids: Iterable[int]) -> float:
    """Memory of the trees of `pids`, MB of a million bytes. Linux only."""
    texts = (Path(f"/proc/{each.pid}/smaps").read_text(encoding="utf-8") for each in list_trees(pids))
    return sum_kilobytes(texts) * KILOBYTE / MEGABYTE


def sum_kilobytes(smaps: Iterable[str]) -> float:
    """Of the processes of one tree, each with the text of its /proc/PID/smaps."""
    own, files = 0, dict[tuple[str, ...], int]()
    for text in smaps:
        for place, fields in read_mappings(text):
            shared = fields.get("Shared_Clean", 0) + fields.get("Shared_Dirty", 0)
            if place is None:
                own += fields.get("Pss", 0)
            else:
                own += fields.get("Private_Clean", 0) + fields.get("Private_Dirty", 0)
                files[place] = max(files.get(place, 0), shared)
    return own + sum(files.values())


def read_mappings(text: str) -> Iterator[tuple[tuple[str, ...] | None, dict[str, int]]]:
    """Yield each mapping: which part of which file, None for memory of no file, and its fields in kB."""
    place: tuple[str, ...] | None = None
    fields: dict[str, int] = {}
    for line in text.splitlines():
        if head := HEAD.match(line):
            if fields:
                yield place, fields
            fields = {}
            place = None if head["inode"] == "0" else (head["device"], head["inode"], head["offset"])
        elif line.endswith(" kB"):
            name, _, value = line.removesuffix(" kB").partition(":")
            fields[name] = int(value)
    if fields:
        yield place, fields
