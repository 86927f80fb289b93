"""The folders' names in more languages, from a text file."""

from collections.abc import Sequence
from pathlib import Path

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.evaluation.data import DIVIDER


def read_names(file: Path, classes: Sequence[str]) -> list[dict[str, str]]:
    """One mapping a language, from a folder's name to its name there: of `animals · 动物` one mapping.

    Raises InputError for a file that cannot be read, and for a class without as many names as the others.
    """
    lines = [DIVIDER.split(line.strip()) for line in text_of(file).splitlines() if line.strip()]
    others = {first: rest for first, *rest in lines}
    missing = [name for name in classes if name not in others]
    if missing:
        raise InputError(f"{file}: no line for {', '.join(map(repr, missing))}; each begins with a folder's name")
    counts = {name: len(others[name]) for name in classes}
    if min(counts.values()) != max(counts.values()):
        few = min(counts, key=lambda name: counts[name])
        raise InputError(f"{file}: {few!r} has {counts[few]} more names, others have {max(counts.values())}")
    return [{name: others[name][each] for name in classes} for each in range(max(counts.values()))]


def text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: {error}; name a UTF-8 text file of lines such as `animals · 动物`") from error
