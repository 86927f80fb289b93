"""The routes about the sidecar itself. None of them waits for the model."""

import dataclasses
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from starlette.responses import JSONResponse, Response

from clip_vectorizer import __version__
from clip_vectorizer.protocol import CAPTIONER, GROUNDER
from clip_vectorizer.server.middleware import RouteHandler, TrackedRequest
from clip_vectorizer.server.service import Service

PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def handle_live(_request: TrackedRequest) -> Response:
    return Response(status_code=204)


def ready_handler(service: Service) -> RouteHandler:
    async def ready(_request: TrackedRequest) -> Response:
        _ = service.info  # raises while there is no model
        return Response(status_code=204)

    return ready


def meta_handler(service: Service, paths: Sequence[str]) -> RouteHandler:
    limits = service.limits
    more = {
        "version": __version__,
        "limits": {
            "max_items": limits.max_items,
            "max_images": limits.max_images,
            "max_body_bytes": limits.max_body_bytes,
            "max_pixels": limits.max_pixels,
            "least_decoded": limits.least_decoded,
            "deadline_seconds": limits.deadline_seconds,
        },
        "routes": list(paths),
    }

    async def meta(_request: TrackedRequest) -> Response:
        beside = {GROUNDER: service.grounder, CAPTIONER: service.captioner}
        found = {name: dataclasses.asdict(each) if each else None for name, each in beside.items()}
        return JSONResponse({**dataclasses.asdict(await service.described_model()), **found, **more})

    return meta


def metrics_handler(service: Service) -> RouteHandler:
    async def metrics(_request: TrackedRequest) -> Response:
        return Response(await service.metrics_page(), media_type=PROMETHEUS_TYPE)

    return metrics


async def handle_openapi(_request: TrackedRequest) -> Response:
    return JSONResponse(load_description())


@cache
def load_description() -> dict[str, Any]:
    """All routes as OpenAPI 3.1 describes them; tests hold it to what is served."""
    text = resources.files("clip_vectorizer.server").joinpath("openapi.json").read_text(encoding="utf-8")
    fields: dict[str, Any] = json.loads(text)
    fields["info"]["version"] = __version__
    return fields
