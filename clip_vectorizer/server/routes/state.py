"""What a sidecar says of itself. None of it waits behind the model."""

import dataclasses
import json
import time
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from starlette.responses import JSONResponse, Response

from clip_vectorizer import __version__
from clip_vectorizer.server.answering import Asked, Handler
from clip_vectorizer.server.service import Service

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


async def live(_request: Asked) -> Response:
    return Response(status_code=204)


def ready_of(service: Service) -> Handler:
    async def ready(_request: Asked) -> Response:
        _ = service.info  # raises while there is no model
        return Response(status_code=204)

    return ready


def meta_of(service: Service, paths: Sequence[str]) -> Handler:
    limits = service.limits
    more = {
        "version": __version__,
        "limits": {
            "max_items": limits.max_items,
            "max_body_bytes": limits.max_body_bytes,
            "max_pixels": limits.max_pixels,
            "deadline_seconds": limits.deadline_seconds,
        },
        "routes": list(paths),
    }

    async def meta(_request: Asked) -> Response:
        return JSONResponse({**dataclasses.asdict(service.info), **more})

    return meta


def metrics_of(service: Service) -> Handler:
    async def metrics(_request: Asked) -> Response:
        return Response(await service.page(), media_type=PROMETHEUS)

    return metrics


def models_of(service: Service) -> Handler:
    """OpenAI's list of models: the one that is served."""
    created = int(time.time())

    async def models(_request: Asked) -> Response:
        entry = {"id": service.info.model, "object": "model", "created": created, "owned_by": "clip-vectorizer"}
        return JSONResponse({"object": "list", "data": [entry]})

    return models


async def openapi(_request: Asked) -> Response:
    return JSONResponse(description())


@cache
def description() -> dict[str, Any]:
    """All routes as OpenAPI 3.1 describes them; tests hold it to what is served."""
    text = resources.files("clip_vectorizer.server").joinpath("openapi.json").read_text(encoding="utf-8")
    fields: dict[str, Any] = json.loads(text)
    fields["info"]["version"] = __version__
    return fields
