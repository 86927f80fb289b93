"""`--other` and `--other-from`: below which similarity an image shows none of the labels."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.adapt.threshold import Threshold
from clip_vectorizer.query.image_search import ImageSearch
from clip_vectorizer.query.labels.label import parse_label
from clip_vectorizer.query.prompts import normalize_text
from clip_vectorizer.query.zeroshot import Classification
from clip_vectorizer.query.zeroshot.arguments import ClassifyArguments
from clip_vectorizer.query.zeroshot.comparison import AUTO
from clip_vectorizer.terminal import escape_line

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"))


def choose_threshold(
    text: str | None, folder: Path | None, search: ImageSearch, labels: Sequence[str], how: ClassifyArguments
) -> float | None:
    """The threshold, if one is wanted; one that was chosen is told on stderr. Raises InputError."""
    if text:
        return parse_threshold(text)
    if folder is None:
        if text is None:
            return None
        raise InputError("--other: say the least similarity of a label, or --other-from FOLDER to choose it by")
    threshold = learn_threshold(folder, search, labels, how)
    click.echo(f"--other: {threshold}", err=True)
    return threshold.value


def parse_threshold(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--other {text}: expected a number such as 0.25") from None


def learn_threshold(folder: Path, search: ImageSearch, labels: Sequence[str], how: ClassifyArguments) -> Threshold:
    """Raises InputError for a folder that has no images of both kinds."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise InputError(f"--other-from {folder}: no image is there; name a folder of folders of images")
    asked: ClassifyArguments = {**how, "write": False, "where": None, "strategy": AUTO}
    results = skip_unreadable(search.classify(files, labels, **asked))
    if not results:
        raise InputError(f"--other-from {folder}: none of its {len(files)} images can be read")
    said = search.label_set(name) if (name := how.get("label_set")) else labels
    names = {parse_label(normalize_text(each))[0].casefold() for each in said}
    known = [Path(each.path).parent.name.casefold() in names for each in results]
    return Threshold.choose(np.array([each.similarity for each in results]), np.array(known, dtype=bool))


def skip_unreadable(results: Iterable[Classification]) -> list[Classification]:
    """The others are named on stderr: the threshold is chosen without them."""
    good: list[Classification] = []
    for each in results:
        if each.error:
            click.echo(escape_line(f"--other-from: {each.path}: {each.error}"), err=True)
        else:
            good.append(each)
    return good
