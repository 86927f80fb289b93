"""What a search asks of the world, one step after the other, and who answers: here a thread or an event loop.

A `SearchFlow` is a generator: it yields steps, is sent their answers, and returns its result. So every search is written
once, and `explain` can look on.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from clip_vectorizer.query.image_inputs import ImageInput

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class EmbedTexts:
    """Answered by (N, D) float32."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EmbedImage:
    """Answered by (D,) float32."""

    image: ImageInput


@dataclass(frozen=True, slots=True)
class WeaviateCall:
    """A method of weaviate-client's `collection.query` and its arguments. Answered by what that returns."""

    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    part: str = "query"  # of the collection; the other one that is used is `aggregate`

    def __call__(self, collection: Any) -> Any:
        """With a collection of the async client, an awaitable."""
        return getattr(getattr(collection, self.part), self.method)(**self.arguments)

    def changed(self, **arguments: Any) -> "WeaviateCall":
        return replace(self, arguments={**self.arguments, **arguments})


SearchStep = EmbedTexts | EmbedImage | WeaviateCall
SearchFlow = Generator[SearchStep, Any, ResultT]


def run_flow(flow: SearchFlow[ResultT], answer: Callable[[SearchStep], Any]) -> ResultT:
    """The flow's result, each step answered by `answer`, whose errors end it."""
    reply = None
    try:
        while True:
            reply = answer(flow.send(reply))
    except StopIteration as end:
        result: ResultT = end.value
        return result


async def run_flow_async(flow: SearchFlow[ResultT], answer: Callable[[SearchStep], Awaitable[Any]]) -> ResultT:
    """The same, where answers are awaited."""
    reply = None
    try:
        while True:
            reply = await answer(flow.send(reply))
    except StopIteration as end:
        result: ResultT = end.value
        return result


def record_steps(flow: SearchFlow[ResultT], steps: list[SearchStep]) -> SearchFlow[ResultT]:
    """The same flow, whose steps are put into a list as they are taken."""
    reply = None
    try:
        while True:
            step = flow.send(reply)
            steps.append(step)
            reply = yield step
    except StopIteration as end:
        result: ResultT = end.value
        return result
