"""`--other` and `--other-from`: below which similarity an image shows none of the labels."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.adapting.rejection import Threshold
from clip_vectorizer.query.labels.label import described
from clip_vectorizer.query.prompts import plain
from clip_vectorizer.query.search import ImageSearch
from clip_vectorizer.query.showing.output import on_one_line
from clip_vectorizer.query.zeroshot import Classification
from clip_vectorizer.query.zeroshot.asking import How
from clip_vectorizer.query.zeroshot.planning import AUTO

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"))


def other_of(
    text: str | None, folder: Path | None, search: ImageSearch, labels: Sequence[str], how: How
) -> float | None:
    """The threshold, if one is wanted; one that was chosen is told on stderr. Raises InputError."""
    if text:
        return number(text)
    if folder is None:
        if text is None:
            return None
        raise InputError("--other: say the least similarity of a label, or --other-from FOLDER to choose it by")
    threshold = chosen_on(folder, search, labels, how)
    click.echo(f"--other: {threshold}", err=True)
    return threshold.value


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--other {text}: expected a number such as 0.25") from None


def chosen_on(folder: Path, search: ImageSearch, labels: Sequence[str], how: How) -> Threshold:
    """Raises InputError for a folder that has no images of both kinds."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(f"--other-from {folder}: no image is there; name a folder of folders of images")
    asked: How = {**how, "write": False, "where": None, "strategy": AUTO}
    results = readable(search.classify(files, labels, **asked))
    if not results:
        raise InputError(f"--other-from {folder}: none of its {len(files)} images can be read")
    said = search.label_set(name) if (name := how.get("label_set")) else labels
    names = {described(plain(each))[0].casefold() for each in said}
    known = [Path(each.path).parent.name.casefold() in names for each in results]
    return Threshold.choose(np.array([each.similarity for each in results]), np.array(known, dtype=bool))


def readable(results: Iterable[Classification]) -> list[Classification]:
    """The others are named on stderr: the threshold is chosen without them."""
    good: list[Classification] = []
    for each in results:
        if each.error:
            click.echo(on_one_line(f"--other-from: {each.path}: {each.error}"), err=True)
        else:
            good.append(each)
    return good
