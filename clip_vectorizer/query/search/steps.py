"""The steps of a search, and who runs them: this thread or an event loop.

A `SearchFlow` is a generator that yields steps, receives their results, and returns its own result. Every search is
written once as a flow; both clients run it, and `explain` records its steps.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from clip_vectorizer.errors import SidecarRefused
from clip_vectorizer.query.image_inputs import ImageInput, embed_image
from clip_vectorizer.vectors import Vectors

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class EmbedTexts:
    """A step whose result is (N, D) float32."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EmbedImage:
    """A step whose result is (D,) float32."""

    image: ImageInput


@dataclass(frozen=True, slots=True)
class WeaviateCall:
    """A step that calls a method of weaviate-client's `collection.query`; its result is what that returns."""

    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    part: str = "query"  # attribute of the collection: query or aggregate

    def __call__(self, collection: Any) -> Any:
        """Call the method. A collection of the async client returns an awaitable."""
        return getattr(getattr(collection, self.part), self.method)(**self.arguments)

    def with_arguments(self, **arguments: Any) -> "WeaviateCall":
        return replace(self, arguments={**self.arguments, **arguments})


SearchStep = EmbedTexts | EmbedImage | WeaviateCall
SearchFlow = Generator[SearchStep, Any, ResultT]


class QueryEncoder(Protocol):
    """The sidecar, as far as a search needs it."""

    def embed_texts(self, texts: Sequence[str]) -> Vectors: ...
    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]: ...


def run_flow(flow: SearchFlow[ResultT], run_step: Callable[[SearchStep], Any]) -> ResultT:
    """Run a flow to its result. An error of `run_step` ends it."""
    reply = None
    try:
        while True:
            reply = run_step(flow.send(reply))
    except StopIteration as end:
        result: ResultT = end.value
        return result


async def run_flow_async(flow: SearchFlow[ResultT], run_step: Callable[[SearchStep], Awaitable[Any]]) -> ResultT:
    """Run a flow to its result, awaiting each step. An error of `run_step` ends it."""
    reply = None
    try:
        while True:
            reply = await run_step(flow.send(reply))
    except StopIteration as end:
        result: ResultT = end.value
        return result


def embed_step(step: EmbedTexts | EmbedImage, encoder: QueryEncoder) -> Vectors:
    """Return (N, D) for texts, (D,) for an image. Raises InputError for an image that cannot be read."""
    match step:
        case EmbedTexts(texts):
            return encoder.embed_texts(texts)
        case EmbedImage(image):
            return embed_image(image, encoder)


def record_steps(flow: SearchFlow[ResultT], steps: list[SearchStep]) -> SearchFlow[ResultT]:
    """Run the same flow, and append each of its steps to `steps`."""
    reply = None
    try:
        while True:
            step = flow.send(reply)
            steps.append(step)
            reply = yield step
    except StopIteration as end:
        result: ResultT = end.value
        return result
