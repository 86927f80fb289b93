"""The last words of the show: commands that work as they stand."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from clip_vectorizer.schema import IMAGE_COLLECTION


def commands(model: str, image: Path, collection: str, started_here: bool) -> str:
    """Shell lines. A stack that ended with the show is started again in the background first."""
    named = "" if collection == IMAGE_COLLECTION else f" --collection {collection}"
    with_model = "" if model == "emoji" else f" --model {shlex.quote(model)}"
    picture = shlex.quote(shown(image))
    lines = [
        *activation(),
        *([f'eval "$(clip-demo up{with_model})"'] if started_here else []),
        f'clip-search "red apple"{named}',
        f"clip-search 吉他 --limit 3{named}",
        f"clip-search --image {picture}{named}",
        f'clip-classify --labels "cat,dog,panda" {picture}',
        f"clip-ingest ~/Pictures{named}",
        "clip-demo down",
    ]
    return "\n".join(["Try next:", *(f"  {line}" for line in lines)])


def activation() -> list[str]:
    """A line that puts the commands on PATH, if they are not."""
    folder = Path(sys.executable).parent
    if (found := shutil.which("clip-search")) and Path(found).parent == folder:
        return []
    if (folder / "activate").is_file():
        return [f". {shlex.quote(shown(folder / 'activate'))}"]
    return [f'export PATH={shlex.quote(str(folder))}:"$PATH"']


def shown(path: Path) -> str:
    """Relative to here when it lies below: shorter, and it fits the line."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
