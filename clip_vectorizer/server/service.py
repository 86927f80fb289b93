"""One request's way: texts and files -> rows, or the sentence that says which item cannot have one.

What became of each item of one request, told with its place in it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from clip_vectorizer.errors import EncoderFailed, ImageRefused, Overloaded, RequestRefused, TooLarge, UnreadableImage
from clip_vectorizer.models.encoder import Encoder, ModelInfo, PreparedText
from clip_vectorizer.protocol import IMAGES, TEXTS
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.codec import EmbedInputs
from clip_vectorizer.server.engine import EmbeddedItem, Engine
from clip_vectorizer.server.limits import Gate, Limits
from clip_vectorizer.server.metrics import Metrics, RequestTimes
from clip_vectorizer.vectors import Vectors

MAX_INLINE_TOKENIZE_CHARACTERS = 1000  # characters, under a millisecond


@dataclass(frozen=True, slots=True)
class EmbedResponse:
    """Unit rows (D,) in the order asked for, and a sentence for every text that was cut."""

    texts: list[Vectors]
    images: list[Vectors]
    warnings: list[str]
    tokens: int = 0  # that the model read of the texts, start and end included


class Service:
    """Answers requests once it has a model. `use` may be called from any thread."""

    def __init__(
        self, limits: Limits, decode_threads: int = 2, on_death: Callable[[BaseException], None] = lambda _error: None
    ) -> None:
        """`on_death` hears when the model can answer no more; from then on nothing is ready."""
        self.limits, self.metrics = limits, Metrics()
        self.items, self.bytes = (
            Gate(limits.max_queue, "items", "CLIP_MAX_QUEUE"),
            Gate(limits.max_queue_bytes, "bytes", "CLIP_MAX_QUEUE_BYTES"),
        )
        self.metrics.watch_gates(self.items, self.bytes)
        self.status = "no model is loaded"  # why there is no answer: a sentence for callers
        self.totals: Callable[[], Awaitable[bytes]] | None = None  # of all processes, where several serve
        self._decode_threads, self._on_death = decode_threads, on_death
        self._engine: Engine | None = None

    def use(self, *encoders: Encoder) -> None:
        """One encoder a device, all of the same weights."""
        limits = self.limits
        batcher = Batcher(encoders, limits.max_batch, self.metrics.batch, self._died, limits.hang_seconds)
        engine = Engine(encoders, batcher, limits, self._decode_threads)
        self.metrics.watch_model(batcher.depth, engine.cache, engine.info)
        self.take(engine)

    def take(self, engine: Engine) -> None:
        """From now on this service answers."""
        self._engine = engine

    def refuse(self, sentence: str) -> None:
        """From now on nothing is ready, and callers hear why."""
        self._engine, self.status = None, sentence

    async def page(self) -> bytes:
        """For Prometheus."""
        return await self.totals() if self.totals else self.metrics.page()

    @property
    def info(self) -> ModelInfo:
        """Raises Overloaded while there is no model."""
        return self._ready().info

    async def embed(self, inputs: EmbedInputs, times: RequestTimes) -> EmbedResponse:
        """Raises RequestRefused, EncoderFailed; both name the item."""
        engine, owner = self._ready(), object()
        with self.items.enter(len(inputs)):
            texts = await self._prepared(engine, inputs.texts)
            made = await asyncio.gather(
                *(engine.text(owner, text) for text in texts),
                *(
                    engine.image(owner, data) if isinstance(data, bytes) else raise_refusal(data)
                    for data in inputs.images
                ),
                return_exceptions=True,
            )
        count = len(texts)
        self._note(made, count, times)
        rows = collect_rows(inputs, made)
        tokens = sum(len(text.ids) for text in texts)
        return EmbedResponse(rows[:count], rows[count:], build_warnings(texts, inputs.texts, self.limits), tokens)

    async def _prepared(self, engine: Engine, texts: Sequence[str]) -> list[PreparedText]:
        """Few short texts at once, since a thread costs more than they do; many or long ones beside the event loop."""
        work = partial(prepare_texts, engine, texts, self.limits)
        return work() if sum(map(len, texts)) <= MAX_INLINE_TOKENIZE_CHARACTERS else await asyncio.to_thread(work)

    def _note(self, made: Sequence[EmbeddedItem | BaseException], texts: int, times: RequestTimes) -> None:
        self.metrics.items("text", made[:texts])
        self.metrics.items("image", made[texts:])
        done = [each for each in made if isinstance(each, EmbeddedItem)]
        times.texts, times.images = texts, len(made) - texts
        times.cached = sum(each.cached for each in done)
        times.decode = max((each.prepare_seconds for each in done), default=0.0)
        times.queue = max((each.row.queue_seconds for each in done), default=0.0)
        times.encode = max((each.row.encode_seconds for each in done), default=0.0)

    def _died(self, error: BaseException) -> None:
        self.refuse(f"the model's worker died ({error}); this sidecar ends")
        self._on_death(error)

    def _ready(self) -> Engine:
        if self._engine is None:
            raise Overloaded(self.status)
        return self._engine


def prepare_texts(engine: Engine, texts: Sequence[str], limits: Limits) -> list[PreparedText]:
    """Each cut first, since a text may be as long as a body."""
    return [engine.prepare_text(text[: limits.max_text_characters]) for text in texts]


def list_positions(inputs: EmbedInputs) -> list[tuple[str, int]]:
    return [(TEXTS, n) for n in range(len(inputs.texts))] + [(IMAGES, n) for n in range(len(inputs.images))]


async def raise_refusal(error: ImageRefused) -> EmbeddedItem:
    raise error


def collect_rows(inputs: EmbedInputs, made: Sequence[EmbeddedItem | BaseException]) -> list[Vectors]:
    """Raises what is wrong with the first item that has no row; `refused` then tells of all images."""
    pairs = zip(list_positions(inputs), made, strict=True)
    failed = next(((place, each) for place, each in pairs if isinstance(each, BaseException)), None)
    if failed is None:
        return [each.row.vector for each in made if isinstance(each, EmbeddedItem)]
    error, cause = add_position(*failed), failed[1]
    if isinstance(error, RequestRefused):
        images = enumerate(made[len(inputs.texts) :])
        error.refused = {index: each.about_it for index, each in images if isinstance(each, ImageRefused)}
    raise error from cause


def add_position(place: tuple[str, int], error: BaseException) -> BaseException:
    """The error, told with the item's place in the request."""
    field, index = place
    if isinstance(error, ImageRefused):
        too_large = error.status == TooLarge.status
        return TooLarge(f"{field}[{index}]: {error.reason}") if too_large else UnreadableImage(index, error.reason)
    if isinstance(error, EncoderFailed):
        return EncoderFailed(f"{field}[{index}]: {error}; send the other items again without it")
    return error


def build_warnings(prepared: Sequence[PreparedText], texts: Sequence[str], limits: Limits) -> list[str]:
    """A sentence for every text of which the model saw only the beginning."""
    pairs = enumerate(zip(prepared, texts, strict=True))
    return [
        f"texts[{index}]: longer than the {len(item.ids)} tokens that the model reads; the rest was cut"
        for index, (item, text) in pairs
        if item.cut or len(text) > limits.max_text_characters
    ]
