"""POST /vectorize, which Weaviate calls."""

import time

from starlette.responses import Response

from clip_vectorizer.server import protocol
from clip_vectorizer.server.answering import Asked, Handler
from clip_vectorizer.server.body import answered, parsed
from clip_vectorizer.server.replies import JSON
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.times import Times


def vectorize_of(service: Service) -> Handler:
    async def answer(body: bytes, times: Times) -> Response:
        inputs = await parsed(lambda body: protocol.parse(body, service.limits), body)
        times.parse = times.since_start()
        embedded = await service.embed(inputs, times)
        written = time.perf_counter()
        content = protocol.answer(embedded.texts, embedded.images, embedded.warnings)
        times.serialise = time.perf_counter() - written
        return Response(content, media_type=JSON)

    async def vectorize(request: Asked) -> Response:
        return await answered(service, request, answer)

    return vectorize
