"""POST /v1/embeddings and GET /v1/models/NAME for OpenAI's clients. D dimensions."""

import time
from typing import Any

import numpy as np
import orjson
import pybase64
from starlette.responses import JSONResponse, Response

from clip_vectorizer.errors import IMAGE_FORMATS
from clip_vectorizer.protocol import MODELS, TEXTS, WARNINGS, format_truncated
from clip_vectorizer.server.body import parse_body, respond_to_body
from clip_vectorizer.server.metrics import RequestTimes
from clip_vectorizer.server.middleware import JSON, RouteHandler, TrackedRequest
from clip_vectorizer.server.routes.item_errors import item_errors
from clip_vectorizer.server.routes.openai_request import OpenAIRequest, check_model_name, parse_request
from clip_vectorizer.server.service import EmbedResponse, Service
from clip_vectorizer.vectors import Vectors

BASE64_IMAGE = f"it must be base64 of a {IMAGE_FORMATS}"
OWNER = "clip-vectorizer"


def embeddings_handler(service: Service) -> RouteHandler:
    async def respond(body: bytes, times: RequestTimes) -> Response:
        request = await parse_body(lambda body: parse_request(body, service.limits, service.info), body)
        times.parse = times.since_start()
        with item_errors(BASE64_IMAGE, request.locate):
            embedded = await service.embed(request.inputs, times)
        start = time.perf_counter()
        content = encode_response(embedded, request, service.info.model)
        times.serialise = time.perf_counter() - start
        return Response(content, media_type=JSON)

    async def embeddings(request: TrackedRequest) -> Response:
        return await respond_to_body(service, request, respond)

    return embeddings


def encode_response(embedded: EmbedResponse, request: OpenAIRequest, model: str) -> bytes:
    """OpenAI's JSON, with the vectors in the order of the request."""
    rows = {**dict(zip(request.texts_at, embedded.texts, strict=True))}
    rows |= dict(zip(request.images_at, embedded.images, strict=True))
    write = encode_base64 if request.base64 else np.ascontiguousarray
    fields: dict[str, Any] = {
        "object": "list",
        "data": [{"object": "embedding", "index": n, "embedding": write(rows[n])} for n in range(len(rows))],
        "model": model,
        "usage": {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens},
    }
    cut = [format_truncated(*request.locate(TEXTS, index), tokens) for index, tokens in embedded.truncated.items()]
    if warnings := request.warnings + cut:
        fields[WARNINGS] = warnings
    return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY)


def encode_base64(row: Vectors) -> str:
    """Base64 of the numbers (D,) as float32, lowest byte first."""
    return pybase64.b64encode_as_string(row.astype("<f4").tobytes())


def models_handler(service: Service) -> RouteHandler:
    """`GET /v1/models`: the one that is served."""
    created = int(time.time())

    async def models(_request: TrackedRequest) -> Response:
        return JSONResponse({"object": "list", "data": [describe_model(service, created)]})

    return models


def model_handler(service: Service) -> RouteHandler:
    """`GET /v1/models/NAME`: the served model by its name, or by another spelling that POST accepts."""
    created = int(time.time())

    async def model(request: TrackedRequest) -> Response:
        check_model_name(request.scope["path"].removeprefix(f"{MODELS}/"), service.info.model)
        return JSONResponse(describe_model(service, created))

    return model


def describe_model(service: Service, created: int) -> dict[str, Any]:
    return {"id": service.info.model, "object": "model", "created": created, "owned_by": OWNER}
