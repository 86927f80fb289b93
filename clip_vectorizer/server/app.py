"""The sidecar's routes as one ASGI app. Every failure, whatever its status, is JSON with a sentence."""

from starlette.types import ASGIApp

from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.protocol import (
    EMBEDDINGS,
    LIVE,
    META,
    METRICS,
    MODELS,
    OPENAPI,
    READY,
    VECTORIZE,
    VECTORIZE_IMAGES,
)
from clip_vectorizer.server.answering import Answering, Handler
from clip_vectorizer.server.auth import Keys
from clip_vectorizer.server.routes.binary import images_of
from clip_vectorizer.server.routes.embeddings import embeddings_of
from clip_vectorizer.server.routes.state import live, meta_of, metrics_of, models_of, openapi, ready_of
from clip_vectorizer.server.routes.vectorize import vectorize_of
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings


def create_app(settings: Settings, encoder: Encoder) -> ASGIApp:
    """A sidecar that is ready at once. It needs no lifespan, so a test may call it through a transport."""
    service = Service(settings.limits, settings.decode_threads)
    service.use(encoder)
    return app_of(service, settings)


def app_of(service: Service, settings: Settings) -> ASGIApp:
    """The routes around a service, which may get its model later."""
    keys = Keys(settings.basic_auth, settings.api_keys)
    return Answering(routes_of(service), keys, service.metrics)


def routes_of(service: Service) -> dict[str, dict[str, Handler]]:
    """Path -> method -> handler; HEAD is answered where GET is."""
    routes: dict[str, dict[str, Handler]] = {
        VECTORIZE: {"POST": vectorize_of(service)},
        VECTORIZE_IMAGES: {"POST": images_of(service)},
        EMBEDDINGS: {"POST": embeddings_of(service)},
        MODELS: {"GET": models_of(service)},
        LIVE: {"GET": live},
        READY: {"GET": ready_of(service)},
        METRICS: {"GET": metrics_of(service)},
        OPENAPI: {"GET": openapi},
    }
    return {**routes, META: {"GET": meta_of(service, [*routes, META])}}
