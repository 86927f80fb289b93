"""One request's way: body -> prepared texts and pixels -> batches -> the answer's JSON."""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from clip_vectorizer.errors import EncoderFailed, Overloaded, UnreadableText
from clip_vectorizer.models.encoder import Encoder, ModelInfo, PreparedText
from clip_vectorizer.protocol import IMAGES, TEXTS
from clip_vectorizer.server import protocol
from clip_vectorizer.server.batcher import Answer, Batcher
from clip_vectorizer.server.images import read_image
from clip_vectorizer.server.limits import Gate, Limits
from clip_vectorizer.vectors import Pixels, Vectors


@dataclass(frozen=True, slots=True)
class Model:
    encoder: Encoder
    batcher: Batcher


class Service:
    """Answers requests once it has a model. `starting` may be called from any thread."""

    def __init__(self, limits: Limits, decode_threads: int = 2) -> None:
        self.limits = limits
        self.status = "no model is loaded"  # why there is no answer yet: a sentence for callers
        self._model: Model | None = None
        self._gate = Gate(limits.max_queue)
        self._decoders = ThreadPoolExecutor(min(decode_threads, os.cpu_count() or 1), "decode")

    def use(self, encoder: Encoder) -> None:
        self._model = Model(encoder, Batcher(encoder, self.limits.max_batch))

    @property
    def info(self) -> ModelInfo:
        """Raises Overloaded while there is no model."""
        return self._ready().encoder.info

    async def vectorize(self, body: bytes) -> bytes:
        """The answer's JSON. Raises RequestRefused, EncoderFailed."""
        model = self._ready()
        inputs = protocol.parse(body, self.limits)
        with self._gate.enter(len(inputs)):
            texts = await asyncio.to_thread(prepared_texts, model.encoder, inputs.texts, self.limits)
            images = await self._prepared_images(model.encoder, inputs.images)
            answers = await asyncio.gather(model.batcher.texts(texts), model.batcher.images(images))
        text_rows, image_rows = rows(TEXTS, answers[0]), rows(IMAGES, answers[1])
        return protocol.answer(text_rows, image_rows, warnings(texts, inputs.texts, self.limits))

    async def _prepared_images(self, encoder: Encoder, images: list[str]) -> list[Pixels]:
        loop = asyncio.get_running_loop()
        limit = self.limits.max_pixels
        jobs = [loop.run_in_executor(self._decoders, pixels_of, encoder, *each, limit) for each in enumerate(images)]
        return list(await asyncio.gather(*jobs))

    def _ready(self) -> Model:
        if self._model is None:
            raise Overloaded(self.status)
        return self._model


def prepared_texts(encoder: Encoder, texts: Sequence[str], limits: Limits) -> list[PreparedText]:
    """Raises UnreadableText for a string that is not Unicode text (half of a surrogate pair)."""
    seen = [text[: limits.max_text_characters] for text in texts]  # first: a text may be as long as a body
    for index, text in enumerate(seen):
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise UnreadableText(index, "holds half of a surrogate pair; send valid Unicode")
    return [encoder.prepare_text(text) for text in seen]


def pixels_of(encoder: Encoder, index: int, text: str, max_pixels: int) -> Pixels:
    return encoder.prepare_image(read_image(index, protocol.image_bytes(index, text), max_pixels))


def rows(field: str, answers: Sequence[Answer]) -> list[Vectors]:
    """Raises EncoderFailed naming the first item that has no vector."""
    for index, answer in enumerate(answers):
        if isinstance(answer, EncoderFailed):
            raise EncoderFailed(f"{field}[{index}]: {answer}; send the other items again without it")
    return [answer for answer in answers if not isinstance(answer, EncoderFailed)]


def warnings(prepared: Sequence[PreparedText], texts: Sequence[str], limits: Limits) -> list[str]:
    """A sentence for every text of which the model saw only the beginning."""
    pairs = enumerate(zip(prepared, texts, strict=True))
    return [
        f"texts[{index}]: longer than the {len(item.ids)} tokens that the model reads; the rest was cut"
        for index, (item, text) in pairs
        if item.cut or len(text) > limits.max_text_characters
    ]


Loader = Callable[[], Encoder]
