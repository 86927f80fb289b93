"""Embeds the texts and files of one request: a unit row for each item, or what is wrong with the first that has none.

D dimensions
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

from clip_vectorizer.errors import EncoderFailed, ImageRefused, ItemRefused, Overloaded
from clip_vectorizer.models.captioning.captioner import Captioner, CaptionerInfo
from clip_vectorizer.models.encoder import Encoder, ModelInfo, PreparedText
from clip_vectorizer.models.grounding.catalog import choose_scorer
from clip_vectorizer.models.grounding.grounder import Grounder, GrounderInfo
from clip_vectorizer.protocol import IMAGES, TEXTS
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.captioning import DeviceCaptioning
from clip_vectorizer.server.codec import EmbedInputs
from clip_vectorizer.server.engine import EmbeddedItem, Engine
from clip_vectorizer.server.grounding import DeviceGrounding, DeviceRunner, DeviceScoring
from clip_vectorizer.server.limits import Gate, Limits, count_places
from clip_vectorizer.server.metrics import Metrics, RequestTimes
from clip_vectorizer.vectors import Vectors

MAX_INLINE_TOKENIZE_CHARACTERS = 1000  # under a millisecond
WAVE = 256  # items that begin together: several batches, so the device does not wait


@dataclass(frozen=True, slots=True)
class EmbedResponse:
    """Unit rows (D,) in the order of the request."""

    texts: list[Vectors]
    images: list[Vectors]
    truncated: Mapping[int, int] = field(default_factory=dict)  # texts that were truncated: tokens read, by index
    tokens: int = 0  # of all texts as the model read them, start and end included


class Service:
    """Embeds requests once it has a model. `use` may be called from any thread."""

    def __init__(
        self, limits: Limits, decode_threads: int = 2, on_death: Callable[[BaseException], None] = lambda _error: None
    ) -> None:
        """`on_death` is called when the model cannot run any more; from then on the service is not ready."""
        self.limits, self.metrics = limits, Metrics()
        self.items, self.bytes = (
            Gate(limits.max_queue, "items", "CLIP_MAX_QUEUE"),
            Gate(limits.max_queue_bytes, "bytes", "CLIP_MAX_QUEUE_BYTES"),
        )
        self.metrics.watch_gates(self.items, self.bytes)
        self.status = "no model is loaded"  # the message of a 503 while there is no model
        self.totals: Callable[[], Awaitable[bytes]] | None = None  # metrics of all processes, where there are several
        self._decode_threads, self._on_death = decode_threads, on_death
        self._engine: Engine | None = None

    def use(self, *encoders: Encoder, grounder: Grounder | None = None, captioner: Captioner | None = None) -> None:
        """Start with one encoder per device, all of the same weights; the other two run on the first."""
        limits = self.limits
        batcher = Batcher(encoders, limits.max_batch, self.metrics.batch, self._stop_after, limits.hang_seconds)
        runner = DeviceRunner(batcher, self.metrics.grounding)
        grounding = DeviceGrounding(grounder, runner) if grounder else None
        scoring = DeviceScoring(choose_scorer(grounder, encoders[0]), runner)
        captioning = DeviceCaptioning(captioner, batcher, self.metrics.captioning) if captioner else None
        engine = Engine(encoders, batcher, limits, self._decode_threads, grounding, captioning, scoring)
        self.metrics.watch_model(batcher, engine.cache, engine.info)
        self.open(engine)

    def open(self, engine: Engine) -> None:
        """Be ready from now on."""
        self._engine = engine

    def close(self, message: str) -> None:
        """Answer every request with 503 and `message` from now on."""
        self._engine, self.status = None, message

    async def metrics_page(self) -> bytes:
        """The metrics for Prometheus."""
        return await self.totals() if self.totals else self.metrics.page()

    @property
    def info(self) -> ModelInfo:
        """The model and how its input is made. Raises Overloaded while there is none."""
        info = self.ready_engine().info
        raw = self.limits.colour == "raw"  # other pixels, whose vectors must not mix with the usual ones
        return replace(info, preprocessing=f"{info.preprocessing}-raw") if raw else info

    async def described_model(self) -> ModelInfo:
        """As `info`, with the check of its pixels. Raises Overloaded while there is no model."""
        engine = self.ready_engine()
        return replace(self.info, pixel_check=await asyncio.to_thread(lambda: engine.pixel_check))

    @property
    def grounder(self) -> GrounderInfo | None:
        """What finds regions, if anything does. Raises Overloaded while there is no model."""
        grounding = self.ready_engine().grounding
        return grounding.info if grounding else None

    @property
    def captioner(self) -> CaptionerInfo | None:
        """What writes captions, if anything does. Raises Overloaded while there is no model."""
        captioning = self.ready_engine().captioning
        return captioning.info if captioning else None

    async def embed(self, inputs: EmbedInputs, times: RequestTimes) -> EmbedResponse:
        """Raises ItemRefused for the first item without a row; Overloaded, TooLarge for the whole request."""
        engine, owner = self.ready_engine(), object()
        with self.items.enter(count_places(len(inputs.texts), len(inputs.images))):
            texts = await self._prepare(engine, inputs.texts)
            items = await gather_in_waves(start_items(engine, owner, texts, inputs.images))
        count = len(texts)
        self._record(items, count, times)
        rows = collect_rows(inputs, items)
        tokens = sum(len(text.ids) for text in texts)
        return EmbedResponse(rows[:count], rows[count:], find_truncated(texts, inputs.texts, self.limits), tokens)

    async def _prepare(self, engine: Engine, texts: Sequence[str]) -> list[PreparedText]:
        """Few short texts at once, since a thread costs more than they do; many or long ones off the event loop."""
        work = partial(prepare_texts, engine, texts, self.limits)
        if sum(map(len, texts)) <= MAX_INLINE_TOKENIZE_CHARACTERS:
            return work()
        return await asyncio.to_thread(work)

    def _record(self, items: Sequence[EmbeddedItem | BaseException], texts: int, times: RequestTimes) -> None:
        self.metrics.items("text", items[:texts])
        self.metrics.items("image", items[texts:])
        done = [item for item in items if isinstance(item, EmbeddedItem)]
        times.texts, times.images = texts, len(items) - texts
        times.cached = sum(item.cached for item in done)
        times.decode = max((item.prepare_seconds for item in done), default=0.0)
        times.queue = max((item.row.queue_seconds for item in done), default=0.0)
        times.encode = max((item.row.encode_seconds for item in done), default=0.0)

    def _stop_after(self, error: BaseException) -> None:
        self.close(f"the model's worker died ({error}); this sidecar ends")
        self._on_death(error)

    def ready_engine(self) -> Engine:
        """Raises Overloaded while there is none."""
        if self._engine is None:
            raise Overloaded(self.status)
        return self._engine


def prepare_texts(engine: Engine, texts: Sequence[str], limits: Limits) -> list[PreparedText]:
    """Tokens of each text, cut to the limit of characters first: a text may be as long as a body."""
    return [engine.prepare_text(text[: limits.max_text_characters]) for text in texts]


def start_items(
    engine: Engine, owner: object, texts: Sequence[PreparedText], images: Sequence[bytes | ImageRefused]
) -> Iterator[Coroutine[Any, Any, EmbeddedItem]]:
    """The work for each item, in the order of the request; none begins before it is awaited."""
    yield from (engine.text(owner, text) for text in texts)
    yield from (engine.image(owner, data) if isinstance(data, bytes) else fail(data) for data in images)


async def gather_in_waves(
    work: Iterator[Coroutine[Any, Any, EmbeddedItem]],
) -> list[EmbeddedItem | BaseException]:
    """The item or the error of each. Begun all at once, 2,048 would hold up the event loop for 100 ms and more."""
    items: list[EmbeddedItem | BaseException] = []
    while wave := list(islice(work, WAVE)):
        items += await asyncio.gather(*wave, return_exceptions=True)
        await asyncio.sleep(0)  # where all are cached, nothing else gives way to other requests
    return items


async def fail(error: ImageRefused) -> EmbeddedItem:
    raise error


def collect_rows(inputs: EmbedInputs, items: Sequence[EmbeddedItem | BaseException]) -> list[Vectors]:
    """The rows of all items. Raises ItemRefused for the first without one, or its error as it is."""
    check_items(list_positions(inputs), items, items[len(inputs.texts) :])
    return [item.row.vector for item in items if isinstance(item, EmbeddedItem)]


def check_items(positions: Sequence[tuple[str, int]], items: Sequence[object], images: Sequence[object]) -> None:
    """Raises ItemRefused for the first error among `items`, or an error that is about no item as it is."""
    pairs = zip(positions, items, strict=True)
    failed = next(((position, item) for position, item in pairs if isinstance(item, BaseException)), None)
    if failed is None:
        return
    position, error = failed
    if not isinstance(error, ImageRefused | EncoderFailed):
        raise error
    refused = {index: image for index, image in enumerate(images) if isinstance(image, ImageRefused)}
    raise ItemRefused(*position, error, refused) from error


def list_positions(inputs: EmbedInputs) -> list[tuple[str, int]]:
    return [(TEXTS, n) for n in range(len(inputs.texts))] + [(IMAGES, n) for n in range(len(inputs.images))]


def find_truncated(prepared: Sequence[PreparedText], texts: Sequence[str], limits: Limits) -> dict[int, int]:
    """The texts of which the model read only the beginning: number of tokens by index."""
    pairs = enumerate(zip(prepared, texts, strict=True))
    return {index: len(item.ids) for index, (item, text) in pairs if item.cut or len(text) > limits.max_text_characters}
