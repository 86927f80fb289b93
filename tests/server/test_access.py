"""With a key or a password set, every path but the two probes is closed: known, unknown, and in any spelling."""

import pytest

from clip_vectorizer.server.app import build_routes
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.middleware import PUBLIC_PATHS
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings, build_worker_config
from tests.server.clients import send

CLOSED = Settings(basic_auth="me:password", api_keys=("key",))
ROUTES = [(method, path) for path, methods in build_routes(Service(Limits())).items() for method in methods]
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "STRANGE")


def test_the_probes_are_all_that_is_open() -> None:
    assert PUBLIC_PATHS == ("/.well-known/live", "/.well-known/ready")
    assert {path for _, path in ROUTES} > {*PUBLIC_PATHS, "/metrics", "/meta", "/openapi.json", "/vectorize"}


@pytest.mark.parametrize(("method", "path"), [each for each in ROUTES if each[1] not in PUBLIC_PATHS])
def test_every_route_needs_the_key(method: str, path: str) -> None:
    refused = send(method, path, settings=CLOSED)
    assert refused.status_code == 401 and "requires a password or a key" in refused.text
    opened = send(method, path, settings=CLOSED, headers={"Authorization": "Bearer key"})
    assert opened.status_code != 401


@pytest.mark.parametrize("method", METHODS)
def test_every_method_needs_the_key(method: str) -> None:
    assert send(method, "/metrics", settings=CLOSED).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/nowhere", "/docs", "//metrics", "/metrics/", "/METRICS", "/metrics?/.well-known/live"),
        *("/.well-known", "/.well-known/live/../../metrics", "/.well-known/live/metrics", "/.well-known/livemetrics"),
        *(
            "/.well-known/live%2f..%2f..%2fmetrics",
            "/%2e%2e/metrics",
            "/.well-known/Live",
            "/v1/models/.well-known/live",
        ),
    ],
)
def test_no_spelling_of_a_path_leads_past_the_key(path: str) -> None:
    assert send("GET", path, settings=CLOSED).status_code == 401


@pytest.mark.parametrize("path", PUBLIC_PATHS)
def test_a_probe_needs_none_and_says_nothing(path: str) -> None:
    answer = send("GET", path, settings=CLOSED)
    assert (answer.status_code, answer.content) == (204, b"")
    assert send("POST", path, settings=CLOSED).status_code == 405


def test_each_worker_process_has_the_key() -> None:
    worker = build_worker_config(Settings(processes=4, basic_auth="me:password", api_keys=("key",)), "").settings
    assert (worker.basic_auth, worker.api_keys) == ("me:password", ("key",))
