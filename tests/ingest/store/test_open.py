import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.errors import Mismatch, SidecarRefused, SidecarUnreachable, VectorizerError
from ingest.store.open import agree_on_model
from tests.http_server import running

EMOJI = ModelInfo("emoji", "abc", 192, 48, 32, "shortest-48-bicubic-v1", 14.3, "cpu", "fp32")
URL = "http://weaviate:8080"


def weaviate_with_modules(**modules: object) -> Any:
    return SimpleNamespace(get_meta=lambda: {"version": "1.39.0", "modules": modules})


def weaviate_with(info: ModelInfo) -> Any:
    return weaviate_with_modules(**{"multi2vec-clip": asdict(info) | {"version": "0.1.0"}})


@contextmanager
def sidecar_with(info: ModelInfo) -> Iterator[str]:
    class Meta(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(asdict(info)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with running(HTTPServer(("127.0.0.1", 0), Meta)) as url:
        yield url


def test_the_model_is_that_of_weaviates_sidecar() -> None:
    assert agree_on_model(weaviate_with(EMOJI), ConnectionSettings(URL)) == EMOJI


def test_a_second_opinion_that_agrees_changes_nothing() -> None:
    with sidecar_with(EMOJI) as sidecar:
        assert agree_on_model(weaviate_with(EMOJI), ConnectionSettings(URL, vectorizer_url=sidecar)) == EMOJI


def test_two_sidecars_with_different_models_are_a_mismatch() -> None:
    other = replace(EMOJI, model="ViT-B-32::openai", revision="def")
    with sidecar_with(other) as sidecar, pytest.raises(Mismatch) as raised:
        agree_on_model(weaviate_with(EMOJI), ConnectionSettings(URL, vectorizer_url=sidecar))
    for part in ("emoji", "ViT-B-32::openai", URL, sidecar):
        assert part in str(raised.value)


def test_a_vectorizer_url_without_a_server_is_unreachable() -> None:
    with pytest.raises(SidecarUnreachable, match=r"http://127\.0\.0\.1:9"):
        agree_on_model(weaviate_with(EMOJI), ConnectionSettings(URL, vectorizer_url="http://127.0.0.1:9"))


def test_a_sidecar_that_weaviate_cannot_reach_is_named_by_its_url() -> None:
    module = {"error": 'send GET meta request: Get "http://sidecar:9090/meta": dial tcp: connection refused'}
    with pytest.raises(SidecarUnreachable, match=r"http://sidecar:9090/meta.*clip-vectorizer serve"):
        agree_on_model(weaviate_with_modules(**{"multi2vec-clip": module}), ConnectionSettings(URL))


def test_the_error_for_a_missing_module_explains_how_to_start_it() -> None:
    with pytest.raises(VectorizerError, match="ENABLE_MODULES=multi2vec-clip"):
        agree_on_model(weaviate_with_modules(), ConnectionSettings(URL))


def test_a_sidecar_of_another_make_is_refused() -> None:
    with pytest.raises(SidecarRefused, match="lacks model"):
        agree_on_model(
            weaviate_with_modules(**{"multi2vec-clip": {"architectures": ["CLIPModel"]}}), ConnectionSettings(URL)
        )


def test_where_we_embed_our_sidecar_decides_and_weaviate_need_not_have_one() -> None:
    module = {"error": 'send GET meta request: Get "http://sidecar:9090/meta": dial tcp: connection refused'}
    with sidecar_with(EMOJI) as sidecar:
        for weaviate in (
            weaviate_with_modules(),
            weaviate_with_modules(**{"multi2vec-clip": module}),
            weaviate_with(EMOJI),
        ):
            assert agree_on_model(weaviate, ConnectionSettings(URL, vectorizer_url=sidecar), embed_here=True) == EMOJI


def test_where_we_embed_weaviates_sidecar_must_agree_if_it_answers() -> None:
    other = replace(EMOJI, revision="def")
    with sidecar_with(other) as sidecar, pytest.raises(Mismatch):
        agree_on_model(weaviate_with(EMOJI), ConnectionSettings(URL, vectorizer_url=sidecar), embed_here=True)


def test_a_collection_with_its_own_sidecar_has_that_ones_model() -> None:
    other = replace(EMOJI, model="ViT-B-32::openai", revision="def")
    with sidecar_with(other) as sidecar:
        assert agree_on_model(weaviate_with(EMOJI), ConnectionSettings(URL), inference_url=sidecar) == other
        assert (
            agree_on_model(
                weaviate_with(EMOJI),
                ConnectionSettings(URL, vectorizer_url=sidecar),
                inference_url="http://127.0.0.1:9",
            )
            == other
        )
    with pytest.raises(SidecarUnreachable):
        agree_on_model(weaviate_with(EMOJI), ConnectionSettings(URL), inference_url="http://127.0.0.1:9")
