"""Probes, Prometheus and the autoscaler: the paths and series that they read are those of the server."""

import asyncio
import re

import httpx
import pytest
import yaml

from clip_vectorizer.server.app import create_app
from clip_vectorizer.server.settings import Settings
from tests.containers.chart.releases import HELM_FOLDER, KEYS, SETTINGS, get_probes, render, selects
from tests.containers.chart.toolchain import ChartTools
from tests.fakes import HashEncoder

pytestmark = pytest.mark.containers


def test_the_monitor_selects_the_sidecar_s_service_alone(tools: ChartTools) -> None:
    release = render(tools, *SETTINGS["everything"])
    monitor = release.get("ServiceMonitor")["spec"]
    chosen = [
        each
        for each in release.list_kind("Service")
        if selects(each["metadata"]["labels"], monitor["selector"]["matchLabels"])
    ]
    assert [each["metadata"]["name"] for each in chosen] == [release.get("Deployment")["metadata"]["name"]]
    assert [each["port"] for each in monitor["endpoints"]] == [each["name"] for each in chosen[0]["spec"]["ports"]]


def test_the_probes_need_no_key_and_prometheus_needs_one(tools: ChartTools) -> None:
    release = render(tools, *KEYS)
    [endpoint] = release.get("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["authorization"]["credentials"] == {"name": "clip-keys", "key": "SIDECAR_KEY"}
    assert [call(probe["httpGet"]["path"]).status_code for probe in get_probes(release)] == [204, 204, 204]
    assert call(endpoint["path"]).status_code == 401
    assert call(endpoint["path"], {"Authorization": "Bearer key"}).status_code == 200


def call(path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """GET of a sidecar that has embedded one text; its key is `key`."""

    async def run() -> httpx.Response:
        app = create_app(Settings(api_keys=("key",)), HashEncoder())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sidecar") as client:
            key = {"Authorization": "Bearer key"}
            (await client.post("/vectorize", json={"texts": ["a red apple"]}, headers=key)).raise_for_status()
            return await client.get(path, headers=headers)

    return asyncio.run(run())


def test_replicas_are_left_to_the_autoscaler(tools: ChartTools) -> None:
    scaled, fixed = render(tools, *SETTINGS["cpu"]), render(tools)
    target = scaled.get("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    deployment = scaled.get("Deployment")
    assert (target["kind"], target["name"]) == (deployment["kind"], deployment["metadata"]["name"])
    assert target["apiVersion"] == deployment["apiVersion"]
    assert "replicas" not in deployment["spec"] and fixed.get("Deployment")["spec"]["replicas"] == 2
    assert "cpu" in scaled.sidecar["resources"]["requests"]  # a share of which the autoscaler computes


def test_the_autoscaler_s_metric_is_made_of_series_that_the_sidecar_has(tools: ChartTools) -> None:
    release = render(tools, "autoscaling.enabled=true", "autoscaling.queueWaitSeconds=0.25")
    [metric] = release.get("HorizontalPodAutoscaler")["spec"]["metrics"]
    [rule] = yaml.safe_load((HELM_FOLDER / "prometheus-adapter.yaml").read_text("utf-8"))["rules"]["custom"]
    assert metric["type"] == "Pods" and metric["pods"]["metric"]["name"] == rule["name"]["as"]
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "0.25"}
    series = rule["seriesQuery"].partition("{")[0]
    assert re.fullmatch(rule["name"]["matches"], series)
    query = rule["metricsQuery"].replace("<<.Series>>", series)
    named = set(re.findall(r"\bclip_\w+", query))
    assert named == {"clip_queue_wait_seconds_sum", "clip_queue_wait_seconds_count"}
    metrics = call("/metrics", {"Authorization": "Bearer key"}).text
    assert named <= set(re.findall(r"^(\w+)\{", metrics, re.MULTILINE))
