"""Room on the disk, looked at before a long step rather than found missing after it."""

import shutil
from pathlib import Path

from clip_vectorizer.errors import StackError

GIGABYTE = 1e9


def need_space(folder: Path, gigabytes: float, purpose: str) -> None:
    """Raises StackError when the disk of `folder` (made if missing) has less than `gigabytes` free."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free / GIGABYTE
    if free < gigabytes:
        raise StackError(
            f"{purpose} needs {gigabytes:g} GB in {folder}, and {free:.1f} GB are free; "
            "free some, or set XDG_CACHE_HOME to a folder on a larger disk"
        )
