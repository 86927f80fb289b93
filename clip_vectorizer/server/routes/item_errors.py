"""Errors about one item of a request, in the words of the route that received it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clip_vectorizer.errors import (
    IMAGE_FORMATS,
    EncoderFailed,
    ImageRefused,
    ItemProblem,
    ItemRefused,
    RequestRefused,
    TooLarge,
    UnreadableImage,
)

FILE_HINT = f"it must be a {IMAGE_FORMATS}"  # for a caller that has the file's name instead of a position
Locate = Callable[[str, int], tuple[str, int]]  # field and index of the service -> those of the request's body


def same_position(field: str, index: int) -> tuple[str, int]:
    return field, index


@contextmanager
def item_errors(image_hint: str, locate: Locate = same_position) -> Iterator[None]:
    """Turn ItemRefused into UnreadableImage, TooLarge or EncoderFailed with a sentence and the item's position.

    `image_hint` is what to send instead of an unreadable image, `locate` translates positions.
    """
    try:
        yield
    except ItemRefused as error:
        raise build_item_error(error, image_hint, locate) from error.error


def build_item_error(error: ItemRefused, image_hint: str, locate: Locate) -> RequestRefused | EncoderFailed:
    position = locate(error.field, error.index)
    if isinstance(error.error, ImageRefused):
        problem = ItemProblem(*position, error.error.explain(image_hint))
        refusal = (TooLarge if error.error.status == TooLarge.status else UnreadableImage)(str(problem))
        refusal.problem = problem
        refusal.refused = {locate("images", index)[1]: each.explain(FILE_HINT) for index, each in error.refused.items()}
        return refusal
    problem = ItemProblem(*position, f"{error.error}; send the other items again without it")
    failure = EncoderFailed(str(problem))
    failure.problem = problem
    return failure
