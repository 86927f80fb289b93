"""The files of docker/observability: what they name exists, and Grafana knows every field of the dashboard."""

import asyncio
import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families

from tests.dashboards import (
    ALERTS_TEST,
    SCRAPES_FILE,
    SOURCES_FILE,
    list_panels,
    list_queries,
    list_rules,
    read_dashboard,
    read_yaml,
    scrape_seconds,
    substitute,
)
from tests.server.clients import client_of

COLUMNS = 24
ENDS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def lost_fields(given: Any, kept: Any, path: str = "") -> Iterator[str]:
    """The paths of `given` that are not in `kept`, or differ there."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for name, value in given.items():
            yield from lost_fields(value, kept.get(name), f"{path}/{name}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, pair in enumerate(zip(given, kept, strict=True)):
            yield from lost_fields(*pair, f"{path}/{number}")
    elif given != kept:
        yield path


def list_lost_fields(dashboard: dict[str, Any]) -> list[str]:
    """What Grafana's own types drop: fields that it does not know."""
    register_default_plugins()
    return list(lost_fields(dashboard, json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))))


def test_grafana_knows_every_field_of_the_dashboard() -> None:
    assert list_lost_fields(read_dashboard()) == []


def test_a_field_that_grafana_does_not_know_is_found() -> None:
    dashboard = read_dashboard()
    panel = dashboard["panels"][1]
    panel["fieldConfig"]["defaults"]["unitt"] = panel["options"]["graphMod"] = panel["targets"][0]["legend"] = "x"
    assert len(list_lost_fields(dashboard)) == 3


def test_every_panel_has_a_title_a_unit_and_an_explanation() -> None:
    for panel in list_panels():
        assert panel["title"] and panel["fieldConfig"]["defaults"]["unit"], panel
        assert panel["description"].endswith("."), panel["title"]
        assert panel["targets"] and all(target["legendFormat"] for target in panel["targets"]), panel["title"]
    ids = [panel["id"] for panel in read_dashboard()["panels"]]
    assert len(set(ids)) == len(ids)


def test_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in read_dashboard()["panels"]]
    assert all(place["x"] + place["w"] <= COLUMNS for place in places)
    for one, two in combinations(places, 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"], (one, two)


def test_every_query_goes_to_the_data_source_that_is_set_up() -> None:
    [source] = read_yaml(SOURCES_FILE)["datasources"]
    variables = {each["name"]: each for each in read_dashboard()["templating"]["list"]}
    assert variables["datasource"]["current"]["value"] == source["uid"]
    queried = [*list_panels(), *(target for panel in list_panels() for target in panel["targets"])]
    queried += [each for each in variables.values() if each["type"] == "query"]
    assert all(each["datasource"] == {"type": source["type"], "uid": "${datasource}"} for each in queried)


def test_grafana_computes_rates_for_the_interval_of_the_scrapes() -> None:
    """With another number a rate has too few values, and panels are empty."""
    assert read_yaml(SCRAPES_FILE)["global"]["scrape_interval"] == f"{scrape_seconds()}s"


def test_every_variable_of_a_query_exists() -> None:
    substituted = {substitute(expression) for _, expression in list_queries()}
    assert len(substituted) > 30 and not [each for each in substituted if "$" in each]


def list_expressions() -> list[str]:
    """Of the dashboard and of the alerts."""
    return [*(expression for _, expression in list_queries()), *(rule["expr"] for rule in list_rules())]


def test_every_job_of_a_query_is_scraped() -> None:
    scraped = {each["job_name"] for each in read_yaml(SCRAPES_FILE)["scrape_configs"]}
    named = {job for jobs in re.findall(r'job=~?"([^"]+)"', " ".join(list_expressions())) for job in jobs.split("|")}
    assert named == {"vectorizer", "weaviate"} and named <= scraped


@pytest.fixture(scope="module")
def metric_names() -> set[str]:
    """All that a sidecar shows."""

    async def page() -> str:
        async with client_of() as client:
            return (await client.get("/metrics")).text

    families = text_string_to_metric_families(asyncio.run(page()))
    return {family.name + end for family in families for end in ENDS[family.type]}


def test_every_metric_of_a_query_is_one_of_the_sidecar(metric_names: set[str]) -> None:
    named = set(re.findall(r"\bclip_\w+", " ".join(list_expressions())))
    assert len(named) > 15 and named <= metric_names


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = [case for test in read_yaml(ALERTS_TEST)["tests"] for case in test["alert_rule_test"]]
    names = {rule["alert"] for rule in list_rules()}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names


def test_every_alert_says_what_to_do() -> None:
    for rule in list_rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"] and rule["annotations"]["action"].endswith("."), rule["alert"]
