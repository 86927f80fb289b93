"""The sidecar's routes as one ASGI app. Every failure, whatever its status, is JSON with a message."""

from starlette.types import ASGIApp

from clip_vectorizer.models.captioning.catalog import load_captioner
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.catalog import load_grounder
from clip_vectorizer.protocol import (
    CAPTION,
    EMBEDDINGS,
    GROUND,
    LIVE,
    META,
    METRICS,
    MODEL,
    MODELS,
    OPENAPI,
    READY,
    REGIONS,
    VECTORIZE,
    VECTORIZE_IMAGES,
)
from clip_vectorizer.server.middleware import Credentials, RouteHandler, SidecarApp
from clip_vectorizer.server.routes.captions import caption_handler
from clip_vectorizer.server.routes.openai import embeddings_handler, model_handler, models_handler
from clip_vectorizer.server.routes.regions import ground_handler, regions_handler
from clip_vectorizer.server.routes.status import (
    handle_live,
    handle_openapi,
    meta_handler,
    metrics_handler,
    ready_handler,
)
from clip_vectorizer.server.routes.vectorize import images_handler, vectorize_handler
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings


def create_app(settings: Settings, encoder: Encoder) -> ASGIApp:
    """A sidecar that is ready immediately. It needs no lifespan, so a test may call it through a transport."""
    service = Service(settings.limits, settings.decode_threads)
    service.use(
        encoder,
        grounder=load_grounder(settings.grounder, encoder),
        captioner=load_captioner(settings.captioner, encoder.info.device),
    )
    return build_app(service, settings)


def build_app(service: Service, settings: Settings) -> ASGIApp:
    """The app of a service, whose model may be loaded later."""
    credentials = Credentials(settings.basic_auth, settings.api_keys)
    return SidecarApp(build_routes(service), credentials, service.metrics)


def build_routes(service: Service) -> dict[str, dict[str, RouteHandler]]:
    """Path -> method -> handler; HEAD is served where GET is."""
    routes: dict[str, dict[str, RouteHandler]] = {
        VECTORIZE: {"POST": vectorize_handler(service)},
        VECTORIZE_IMAGES: {"POST": images_handler(service)},
        REGIONS: {"POST": regions_handler(service)},
        GROUND: {"POST": ground_handler(service)},
        CAPTION: {"POST": caption_handler(service)},
        EMBEDDINGS: {"POST": embeddings_handler(service)},
        MODELS: {"GET": models_handler(service)},
        MODEL: {"GET": model_handler(service)},
        LIVE: {"GET": handle_live},
        READY: {"GET": ready_handler(service)},
        METRICS: {"GET": metrics_handler(service)},
        OPENAPI: {"GET": handle_openapi},
    }
    return {**routes, META: {"GET": meta_handler(service, [*routes, META])}}
