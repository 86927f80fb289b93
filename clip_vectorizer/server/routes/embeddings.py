"""POST /v1/embeddings as OpenAI's clients call it, for texts and images in any order."""

import re
import time
from typing import Any

import numpy as np
import orjson
import pybase64
from starlette.responses import Response

from clip_vectorizer.errors import EncoderFailed, RequestRefused
from clip_vectorizer.protocol import WARNINGS
from clip_vectorizer.server.answering import Asked, Handler
from clip_vectorizer.server.body import answered, parsed
from clip_vectorizer.server.replies import JSON
from clip_vectorizer.server.routes.openai_body import Wanted, parse
from clip_vectorizer.server.service import Embedded, Service
from clip_vectorizer.server.times import Times
from clip_vectorizer.vectors import Vectors

PLACE = re.compile(r"^(texts|images)\[(\d+)\]")


def embeddings_of(service: Service) -> Handler:
    async def answer(body: bytes, times: Times) -> Response:
        wanted = await parsed(lambda body: parse(body, service.limits, service.info), body)
        times.parse = times.since_start()
        try:
            embedded = await service.embed(wanted.inputs, times)
        except (RequestRefused, EncoderFailed) as error:
            raise in_the_callers_words(error, wanted) from error
        written = time.perf_counter()
        content = answer_of(embedded, wanted, service.info.model)
        times.serialise = time.perf_counter() - written
        return Response(content, media_type=JSON)

    async def embeddings(request: Asked) -> Response:
        return await answered(service, request, answer)

    return embeddings


def answer_of(embedded: Embedded, wanted: Wanted, model: str) -> bytes:
    rows = {**dict(zip(wanted.texts_at, embedded.texts, strict=True))}
    rows |= dict(zip(wanted.images_at, embedded.images, strict=True))
    write = base64_of if wanted.base64 else np.ascontiguousarray
    fields: dict[str, Any] = {
        "object": "list",
        "data": [{"object": "embedding", "index": n, "embedding": write(rows[n])} for n in range(len(rows))],
        "model": model,
        "usage": {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens},
    }
    if embedded.warnings:
        fields[WARNINGS] = [placed(sentence, wanted) for sentence in embedded.warnings]
    return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY)


def base64_of(row: Vectors) -> str:
    """Of the numbers as float32, lowest byte first."""
    return pybase64.b64encode_as_string(row.astype("<f4").tobytes())


def in_the_callers_words(error: RequestRefused | EncoderFailed, wanted: Wanted) -> RequestRefused | EncoderFailed:
    """`images[0]` is `input[3]` here."""
    error.args = (placed(str(error), wanted).replace("; send base64 of a", "; it must be base64 of a"),)
    if isinstance(error, RequestRefused):
        error.refused = {wanted.images_at[index]: reason for index, reason in error.refused.items()}
    return error


def placed(sentence: str, wanted: Wanted) -> str:
    at = {"texts": wanted.texts_at, "images": wanted.images_at}
    return PLACE.sub(lambda hit: f"input[{at[hit[1]][int(hit[2])]}]", sentence)
