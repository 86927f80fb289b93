"""The dashboard and its rules as files, and its queries as Grafana sends them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "docker" / "observability"
DASHBOARD = FOLDER / "grafana" / "dashboards" / "clip-vectorizer.json"
SOURCES_FILE = FOLDER / "grafana" / "provisioning" / "datasources" / "prometheus.yaml"
SCRAPES_FILE = FOLDER / "prometheus" / "prometheus.yaml"
ALERTS_FILE = FOLDER / "prometheus" / "alerts.yaml"
ALERTS_TEST = Path(__file__).parent / "containers" / "prometheus" / "alerts_test.yaml"


def read_yaml(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def read_dashboard() -> dict[str, Any]:
    return dict(json.loads(DASHBOARD.read_text(encoding="utf-8")))


def list_panels() -> list[dict[str, Any]]:
    """All that show data, without the headings of the rows."""
    return [panel for panel in read_dashboard()["panels"] if panel["type"] != "row"]


def list_queries() -> Iterator[tuple[str, str]]:
    """The title of the panel and the expression of each query, with Grafana's variables in it."""
    return ((panel["title"], target["expr"]) for panel in list_panels() for target in panel["targets"])


def list_rules() -> list[dict[str, Any]]:
    return [rule for group in read_yaml(ALERTS_FILE)["groups"] for rule in group["rules"]]


def scrape_seconds() -> int:
    """How often Prometheus reads the metrics, as Grafana's data source has it."""
    [source] = read_yaml(SOURCES_FILE)["datasources"]
    return int(source["jsonData"]["timeInterval"].removesuffix("s"))


def substitute(expression: str) -> str:
    """What Grafana sends for a range whose steps are not longer than one scrape, with "All" chosen everywhere.

    A rate interval is four scrapes: grafana.com/docs, "Prometheus template variables".
    """
    values = {each["name"]: each.get("allValue", "") for each in read_dashboard()["templating"]["list"]}
    values["__rate_interval"] = f"{4 * scrape_seconds()}s"
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], expression)
