"""One request's way: texts and files -> rows, or the sentence that says which item cannot have one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from clip_vectorizer.errors import Overloaded
from clip_vectorizer.models.encoder import Encoder, ModelInfo, PreparedText
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.engine import Engine, Made
from clip_vectorizer.server.limits import Gate, Limits
from clip_vectorizer.server.metrics import Metrics
from clip_vectorizer.server.outcomes import refuse, rows_of, warnings
from clip_vectorizer.server.protocol import Inputs
from clip_vectorizer.server.times import Times
from clip_vectorizer.vectors import Vectors

TOKENIZE_AT_ONCE = 1000  # characters, under a millisecond


@dataclass(frozen=True, slots=True)
class Embedded:
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

    async def embed(self, inputs: Inputs, times: Times) -> Embedded:
        """Raises RequestRefused, EncoderFailed; both name the item."""
        engine, owner = self._ready(), object()
        with self.items.enter(len(inputs)):
            texts = await self._prepared(engine, inputs.texts)
            made = await asyncio.gather(
                *(engine.text(owner, text) for text in texts),
                *(engine.image(owner, data) if isinstance(data, bytes) else refuse(data) for data in inputs.images),
                return_exceptions=True,
            )
        count = len(texts)
        self._note(made, count, times)
        rows = rows_of(inputs, made)
        tokens = sum(len(text.ids) for text in texts)
        return Embedded(rows[:count], rows[count:], warnings(texts, inputs.texts, self.limits), tokens)

    async def _prepared(self, engine: Engine, texts: Sequence[str]) -> list[PreparedText]:
        """Few short texts at once, since a thread costs more than they do; many or long ones beside the event loop."""
        work = partial(prepared_texts, engine, texts, self.limits)
        return work() if sum(map(len, texts)) <= TOKENIZE_AT_ONCE else await asyncio.to_thread(work)

    def _note(self, made: Sequence[Made | BaseException], texts: int, times: Times) -> None:
        self.metrics.items("text", made[:texts])
        self.metrics.items("image", made[texts:])
        done = [each for each in made if isinstance(each, Made)]
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


def prepared_texts(engine: Engine, texts: Sequence[str], limits: Limits) -> list[PreparedText]:
    """Each cut first, since a text may be as long as a body."""
    return [engine.prepare_text(text[: limits.max_text_characters]) for text in texts]
