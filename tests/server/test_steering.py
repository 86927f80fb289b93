"""The operator's side of the sidecar: metrics, log lines, keys, /meta and the OpenAPI description."""

import asyncio
import json
import logging
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from clip_vectorizer.server.app import build_app, build_routes
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.logs import LogFormatter
from clip_vectorizer.server.metrics import SOURCES
from clip_vectorizer.server.middleware import BAD_HTTP, CRASH, ERROR_KINDS
from clip_vectorizer.server.queues import ITEM_KINDS
from clip_vectorizer.server.routes.status import load_description
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings
from tests.server.clients import RED, base64_of, client_of, send

Samples = dict[tuple[str, ...], float]
GOOD = base64_of(RED)


def metrics_after(*requests: tuple[str, str, Any]) -> Samples:
    """(name, label value, ...) -> value, once `requests` (method, path, JSON) were answered."""

    async def page() -> str:
        async with client_of() as client:
            for method, path, body in requests:
                await client.request(method, path, json=body)
            return (await client.get("/metrics")).text

    families = text_string_to_metric_families(asyncio.run(page()))
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def test_items_are_counted_by_kind_and_by_where_the_row_came_from() -> None:
    body = {"texts": ["a", "a", "b"], "images": [GOOD]}
    samples = metrics_after(("POST", "/vectorize", body), ("POST", "/v1/embeddings", {"input": "a"}))
    assert samples["clip_items_total", "text", "model"] == 2
    assert samples["clip_items_total", "text", "joined"] == 1
    assert samples["clip_items_total", "text", "cache"] == 1
    assert samples["clip_items_total", "image", "model"] == 1
    assert (samples["clip_cache_lookups_total", "hit"], samples["clip_cache_lookups_total", "miss"]) == (1, 4)


def test_every_answer_is_counted_by_route_and_status_the_failed_ones_too() -> None:
    samples = metrics_after(
        ("POST", "/vectorize", {"texts": ["a"]}),
        ("POST", "/vectorize", {"images": ["?"]}),
        ("POST", "/vectorize", []),
        ("PUT", "/meta", None),
        *(("GET", f"/stranger/{number}", None) for number in range(9)),
    )
    counted = {key[1:]: value for key, value in samples.items() if key[0] == "clip_requests_total"}
    assert counted == {
        ("/vectorize", "200"): 1,
        ("/vectorize", "422"): 1,
        ("/vectorize", "400"): 1,
        ("/meta", "405"): 1,
        ("other", "404"): 9,
    }
    errors = {key[1]: value for key, value in samples.items() if key[0] == "clip_errors_total" and value}
    assert errors == {"unreadable_image": 1, "bad_request": 1, "not_served": 10}


def test_what_has_not_happened_yet_is_counted_as_zero() -> None:
    """Prometheus computes a rate from two values: without a zero it would miss the first error."""
    samples = metrics_after()
    kinds = {*ERROR_KINDS.values(), CRASH, BAD_HTTP}
    assert {key[1] for key in samples if key[0] == "clip_errors_total"} == kinds
    assert [samples["clip_items_total", kind, source] for kind in ITEM_KINDS for source in SOURCES] == [0] * 6
    assert (samples["clip_cache_lookups_total", "hit"], samples["clip_cache_lookups_total", "miss"]) == (0, 0)


def test_a_probe_that_gets_not_ready_counts_as_no_error() -> None:
    transport = httpx.ASGITransport(app=build_app(Service(Limits()), Settings()))

    async def page() -> str:
        async with httpx.AsyncClient(transport=transport, base_url="http://sidecar") as client:
            assert (await client.get("/.well-known/ready")).status_code == 503
            return (await client.get("/metrics")).text

    text = asyncio.run(page())
    assert 'clip_requests_total{route="/.well-known/ready",status="503"} 1.0' in text
    errors = [line for line in text.splitlines() if line.startswith("clip_errors_total{")]
    assert errors and all(line.endswith(" 0.0") for line in errors)


def test_metrics_have_stages_batches_memory_and_the_model() -> None:
    samples = metrics_after(("POST", "/vectorize", {"texts": ["a"]}))
    assert samples["clip_stage_seconds_count", "total"] == 1
    assert samples["clip_batch_size_sum", "text"] == 1
    assert samples["clip_queue_depth", "text"] == 0
    assert samples["process_resident_memory_bytes",] > 0
    assert 0 < samples["clip_device_busy_seconds_total", "cpu"] < 60
    limits = Limits()
    assert samples["clip_items_in_flight_max",] == limits.max_queue
    assert samples["clip_bytes_in_flight_max",] == limits.max_queue_bytes
    assert samples["clip_cache_max_bytes",] == limits.cache_bytes
    [info] = [key for key in samples if key[0] == "clip_info"]
    assert {"hash", "8", "fp32", "cpu"} <= set(info)
    assert "None" not in info  # an absent value is an empty label


def test_a_request_is_one_line_of_json_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "clip_vectorizer.server.middleware"):
        send("POST", "/vectorize", json={"texts": ["secret words"], "images": [GOOD]}, auth=("me", "password"))
        send("POST", "/vectorize", json={"images": ["?"]})
    good, bad = (json.loads(LogFormatter().format(record)) for record in caplog.records)
    assert (good["method"], good["route"], good["status"]) == ("POST", "/vectorize", 200)
    assert (good["texts"], good["images"], good["cached"]) == (1, 1, 0)
    assert good["bytes_in"] > 0 and good["bytes_out"] > 0 and good["stages_ms"]["total"] > 0
    assert bad["error"].startswith("images[0]: ")
    assert "secret" not in caplog.text and "Basic" not in caplog.text


def test_nothing_is_logged_of_a_good_request_at_info(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        send("POST", "/vectorize", json={"texts": ["a"]})
    assert not [record for record in caplog.records if record.name.startswith("clip_vectorizer")]


BOTH = Settings(basic_auth="me:pässword", api_keys=("first", "schlüssel"))


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer firs", 401),
        ("Bearer first", 200),
        ("bearer  first", 200),
        ("Bearer schlüssel", 200),
        ("Basic bWU6cMOkc3N3b3Jk", 200),
        ("Basic first", 401),
        ("Bearer bWU6cMOkc3N3b3Jk", 401),
        ("Basic ÿ", 401),
    ],
)
def test_a_password_or_a_key_opens_and_nothing_else(header: str | None, status: int) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}
    for method, path in [("GET", "/meta"), ("GET", "/metrics"), ("GET", "/v1/models"), ("GET", "/openapi.json")]:
        answer = send(method, path, settings=BOTH, headers=headers)
        assert answer.status_code == status, path
    if status == 401:
        assert answer.headers.get_list("www-authenticate") == ["Basic", "Bearer"]
    for path in ("/.well-known/live", "/.well-known/ready"):
        assert send("GET", path, settings=BOTH, headers=headers).status_code == 204


def test_meta_has_limits_and_routes() -> None:
    meta = send("GET", "/meta", max_items=7).json()
    assert meta["limits"]["max_items"] == 7
    assert "/vectorize/images" in meta["routes"]


def test_the_description_names_every_route_and_method_and_no_other() -> None:
    served = {path: {method.lower() for method in methods} for path, methods in build_routes(Service(Limits())).items()}
    assert {path: set(operations) for path, operations in load_description()["paths"].items()} == served


def test_every_reference_of_the_description_leads_somewhere() -> None:
    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if "$ref" in part else []
            return own + [each for value in part.values() for each in references(value)]
        return [each for value in part for each in references(value)] if isinstance(part, list) else []

    for reference in references(load_description()):
        found: Any = load_description()
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]
        assert found


@pytest.mark.parametrize(
    ("body", "status"), [({"texts": ["a"]}, 200), ([], 400), ({"images": ["?"]}, 422), ({"texts": ["a"] * 3000}, 413)]
)
def test_answers_of_vectorize_are_described(body: object, status: int) -> None:
    answer: httpx.Response = send("POST", "/vectorize", json=body)
    assert answer.status_code == status
    assert str(status) in load_description()["paths"]["/vectorize"]["post"]["responses"]
