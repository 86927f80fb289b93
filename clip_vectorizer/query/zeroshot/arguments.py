"""How a classification is asked for: the keyword arguments, checked before anything is embedded or read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.query.hits import Hit, StoredImage
from clip_vectorizer.query.image_inputs import ImageInput
from clip_vectorizer.query.near_strings import did_you_mean
from clip_vectorizer.query.prompts import PromptSet
from clip_vectorizer.query.zeroshot.comparison import AUTO, IMAGES, LABELS, STRATEGIES
from clip_vectorizer.query.zeroshot.scores import Boost

ClassifyInput = ImageInput | Hit | StoredImage | Iterable[ImageInput] | Iterable[Hit] | Iterable[StoredImage] | None


class ClassifyArguments(TypedDict, total=False):
    """Keyword arguments of `classify`: `search.classify(None, ["cat", "dog"], prompts="photo-80", write=True)`."""

    prompts: str | PromptSet | None  # a set's name, or @FILE with a template a line
    label_set: str | None  # use the set of this name; with labels: make it, or add them to it
    strategy: str  # images, labels, matmul; auto takes the fastest. All give the same labels
    where: FilterInput  # which images of the collection, as in a search
    other: float | None  # the least cosine of a label, with shots its least share; below it, "other" is told
    boost: Boost | None  # what is better than plain CLIP
    write: bool  # store each result with its image


@dataclass(frozen=True, slots=True)
class ClassifyOptions:
    """`ClassifyArguments` with its defaults. Raises InputError for what does not go together."""

    prompts: str | PromptSet | None = None
    label_set: str | None = None
    strategy: str = AUTO
    where: FilterInput = None
    other: float | None = None
    boost: Boost | None = None
    write: bool = False

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            meant = did_you_mean(self.strategy, STRATEGIES)
            raise InputError(f"no strategy is called {self.strategy!r}; {meant}there are {', '.join(STRATEGIES)}")
        if self.boost is not None and self.strategy in (IMAGES, LABELS):
            raise InputError(
                f"the strategy {self.strategy} compares in the database, which knows plain cosines only; "
                "leave the strategy away to boost them"
            )
        if self.other is not None and not -1 <= self.other <= 1:
            raise InputError(f"other {self.other}: expected the least similarity of a label, a cosine of -1 to 1")

    def check_source(self, are_files: bool, is_everything: bool) -> None:
        if not is_everything and self.where is not None:
            raise InputError("a filter chooses among the whole collection; leave it away, or name no images")
        if are_files and self.write:
            raise InputError("files have no object to write to; ingest them first, or do not write")
        if are_files and self.strategy == LABELS:
            raise InputError("the strategy labels searches stored images; leave it away for files")


def check_label_list(labels: Sequence[str] | str | None) -> Sequence[str]:
    """Raises InputError for a text, whose letters would compete."""
    if isinstance(labels, str):
        raise InputError(f"labels is the text {labels[:60]!r}; give a list of texts, for example ['cat', 'dog']")
    return labels or ()
