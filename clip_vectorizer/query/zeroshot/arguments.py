"""Keyword arguments of `ImageSearch.classify`, checked before anything is embedded or read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.choices import AUTO, IMAGES, LABELS, STRATEGIES
from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.query.hits import Hit, StoredImage
from clip_vectorizer.query.image_inputs import ImageInput
from clip_vectorizer.query.near_strings import did_you_mean
from clip_vectorizer.query.prompts import PromptSet
from clip_vectorizer.query.zeroshot.scores import Boost

ClassifyInput = ImageInput | Hit | StoredImage | Iterable[ImageInput] | Iterable[Hit] | Iterable[StoredImage] | None


class ClassifyArguments(TypedDict, total=False):
    """Keyword arguments of `classify`: `search.classify(None, ["cat", "dog"], prompts="photo-80", save=True)`."""

    prompts: str | PromptSet | None  # name of a prompt set, or @FILE with one template per line
    label_set: str | None  # use the label set of this name; with labels: create it, or add them to it
    strategy: str  # images, labels or matmul; auto chooses the fastest. All give the same labels
    filters: FilterInput  # which images of the collection, as in a search
    threshold: float | None  # least cosine of a label (with shots: least share); below it the label is "other"
    boost: Boost | None  # few_shot(), linear_probe() or remove_means() instead of plain CLIP
    save: bool  # store each result with its image


@dataclass(frozen=True, slots=True)
class ClassifyOptions:
    """`ClassifyArguments` with defaults. Raises InputError for an invalid value or an invalid combination.

    >>> ClassifyOptions(strategy="matmull")
    Traceback (most recent call last):
        ...
    clip_vectorizer.errors.InputError: no strategy is called 'matmull'; did you mean matmul? there are auto, images, \
labels, matmul
    """

    prompts: str | PromptSet | None = None
    label_set: str | None = None
    strategy: str = AUTO
    filters: FilterInput = None
    threshold: float | None = None
    boost: Boost | None = None
    save: bool = False

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            suggestion = did_you_mean(self.strategy, STRATEGIES)
            raise InputError(f"no strategy is called {self.strategy!r}; {suggestion}there are {', '.join(STRATEGIES)}")
        if self.boost is not None and self.strategy in (IMAGES, LABELS):
            raise InputError(
                f"the strategy {self.strategy} compares in the database, which computes plain cosines only; "
                "remove the strategy, or remove the boost"
            )
        if self.threshold is not None and not -1 <= self.threshold <= 1:
            raise InputError(
                f"threshold {self.threshold}: expected the least similarity of a label, a cosine of -1 to 1"
            )

    def check_source(self, are_files: bool, is_collection: bool) -> None:
        """Raise InputError for an option that does not work with this kind of images."""
        if not is_collection and self.filters is not None:
            raise InputError("a filter selects from the whole collection; remove it, or pass no images")
        if are_files and self.save:
            raise InputError("files have no object to store results in; ingest them first, or do not save")
        if are_files and self.strategy == LABELS:
            raise InputError("the strategy labels searches stored images; remove it for files")


def check_label_list(labels: Sequence[str] | str | None) -> Sequence[str]:
    """Return the labels; None gives none. Raises InputError for one string, whose letters would become labels."""
    if isinstance(labels, str):
        raise InputError(f"labels is the text {labels[:60]!r}; give a list of texts, for example ['cat', 'dog']")
    return labels or ()
