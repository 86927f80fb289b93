"""Number of cores that this process may use. In a container `os.cpu_count` returns those of the machine. No torch."""

import os
from collections.abc import Iterator
from pathlib import Path

ROOT, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Return the cores this process may run on, or the whole cores of its CPU quota if these are fewer; at least 1.

    More threads than the quota slow a process down: once the quota is used up, all of them stop together.
    """
    quota = cpu_quota()
    cores = allowed_cores()
    return cores if quota is None else max(1, min(cores, int(quota)))


def allowed_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity
        return os.cpu_count() or 1


def cpu_quota(root: Path = ROOT, own: Path = OWN) -> float | None:
    """Return the strictest CPU limit of this process's control groups (version 1 or 2), in cores; None: no limit."""
    limits = [limit for folder in iterate_cgroups(root, own) if (limit := read_limit(folder)) is not None]
    return min(limits, default=None)


def iterate_cgroups(root: Path, own: Path) -> Iterator[Path]:
    """Yield the folders of the control groups that may limit this process's CPU, up to the root of each hierarchy.

    A container's own group is mounted as the root, so the path in `/proc/self/cgroup` may not exist there.
    """
    for line in read_lines(own):
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / controllers if controllers else root
        folder = top / path.strip("/")
        yield from (each for each in (folder, *folder.parents) if each.is_relative_to(top))


def read_limit(folder: Path) -> float | None:
    """Return quota / period in cores, from `cpu.max` (version 2) or `cpu.cfs_*` (version 1); None: no limit."""
    words = " ".join(read_lines(folder / "cpu.max")).split()
    if not words:
        words = [*read_lines(folder / "cpu.cfs_quota_us"), *read_lines(folder / "cpu.cfs_period_us")]
    if len(words) != 2 or not words[0].isdecimal() or not words[1].isdecimal() or words[1] == "0":
        return None  # `max`, -1, or no such files
    return int(words[0]) / int(words[1])


def read_lines(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text("ascii").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        return []
