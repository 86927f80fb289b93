"""What became of each item of one request, told with its place in it."""

from collections.abc import Sequence

from clip_vectorizer.errors import EncoderFailed, ImageRefused, RequestRefused, TooLarge, UnreadableImage
from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.protocol import IMAGES, TEXTS
from clip_vectorizer.server.engine import Made
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.protocol import Inputs
from clip_vectorizer.vectors import Vectors


def places(inputs: Inputs) -> list[tuple[str, int]]:
    return [(TEXTS, n) for n in range(len(inputs.texts))] + [(IMAGES, n) for n in range(len(inputs.images))]


async def refuse(error: ImageRefused) -> Made:
    raise error


def rows_of(inputs: Inputs, made: Sequence[Made | BaseException]) -> list[Vectors]:
    """Raises what is wrong with the first item that has no row; `refused` then tells of all images."""
    pairs = zip(places(inputs), made, strict=True)
    failed = next(((place, each) for place, each in pairs if isinstance(each, BaseException)), None)
    if failed is None:
        return [each.row.vector for each in made if isinstance(each, Made)]
    error, cause = at(*failed), failed[1]
    if isinstance(error, RequestRefused):
        images = enumerate(made[len(inputs.texts) :])
        error.refused = {index: each.about_it for index, each in images if isinstance(each, ImageRefused)}
    raise error from cause


def at(place: tuple[str, int], error: BaseException) -> BaseException:
    """The error, told with the item's place in the request."""
    field, index = place
    if isinstance(error, ImageRefused):
        too_large = error.status == TooLarge.status
        return TooLarge(f"{field}[{index}]: {error.reason}") if too_large else UnreadableImage(index, error.reason)
    if isinstance(error, EncoderFailed):
        return EncoderFailed(f"{field}[{index}]: {error}; send the other items again without it")
    return error


def warnings(prepared: Sequence[PreparedText], texts: Sequence[str], limits: Limits) -> list[str]:
    """A sentence for every text of which the model saw only the beginning."""
    pairs = enumerate(zip(prepared, texts, strict=True))
    return [
        f"texts[{index}]: longer than the {len(item.ids)} tokens that the model reads; the rest was cut"
        for index, (item, text) in pairs
        if item.cut or len(text) > limits.max_text_characters
    ]
