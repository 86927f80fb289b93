"""The profile `observability`: Prometheus reads both services, and every query of the dashboard has data under load.

Grafana itself is not started here: its image cannot be built from packages. tests/test_dashboard.py checks its files.
"""

import json
import math
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from tests.containers.engine import COMPOSE, PROMETHEUS, Compose, docker, running
from tests.containers.test_keys import KEYS, make_keys
from tests.dashboards import ALERTS_TEST, FOLDER, list_queries, list_rules, scrape_seconds, substitute
from tests.stack.support import EXAMPLES, Stack, base64_of

pytestmark = pytest.mark.containers

SERVICES = ("vectorizer", "weaviate", "prometheus")
LOAD_SECONDS = 80
STEP_SECONDS = 5
PATIENCE_SECONDS = 90  # Weaviate counts objects when it writes a memory table
ONLY_ON_GPU = "clip_device_memory_bytes"
IMAGES = sorted(EXAMPLES.rglob("*.png"))[:40]
Series = dict[str, Any]


@dataclass(frozen=True)
class Monitor:
    """The API of Prometheus, called in its container: with keys its port is not published."""

    compose: Compose

    def get(self, path: str, **parameters: object) -> Any:
        url = f"http://127.0.0.1:9090/api/v1/{path}?{urlencode(parameters)}"
        answer = json.loads(self.compose("exec", "-T", "prometheus", "wget", "-q", "-O", "-", url).stdout)
        assert answer["status"] == "success", answer
        return answer["data"]

    def targets(self) -> dict[str, tuple[str, str]]:
        """Health and last error by job."""
        targets = self.get("targets", state="active")["activeTargets"]
        return {each["labels"]["job"]: (each["health"], each["lastError"]) for each in targets}

    def value(self, query: str) -> float | None:
        """Now, of the first series."""
        found = self.get("query", query=query)["result"]
        return float(found[0]["value"][1]) if found else None

    def range(self, query: str, seconds: float) -> list[Series]:
        """The series of the last `seconds`, as a panel loads them."""
        end = time.time()
        return list(self.get("query_range", query=query, start=end - seconds, end=end, step=STEP_SECONDS)["result"])


def wait_for(monitor: Monitor, query: str, wanted: float, seconds: float = PATIENCE_SECONDS) -> float | None:
    """The value of a query once it is the wanted one, or what it is after `seconds`."""
    end = time.monotonic() + seconds
    while (value := monitor.value(query)) != wanted and time.monotonic() < end:
        time.sleep(2)
    return value


def wait_for_targets(monitor: Monitor) -> dict[str, tuple[str, str]]:
    """The targets once each is up: the first scrape may come before a service listens."""
    end = time.monotonic() + PATIENCE_SECONDS
    while {("up", "")} != set((targets := monitor.targets()).values()) and time.monotonic() < end:
        time.sleep(2)
    return targets


def finite(series: Series) -> list[float]:
    return [number for _, text in series["values"] if math.isfinite(number := float(text))]


@pytest.fixture(scope="module")
def compose(images: tuple[str, str], prometheus_image: str) -> Iterator[Compose]:
    with running(Compose(), *SERVICES) as compose:
        yield compose


@pytest.fixture(scope="module")
def monitor(compose: Compose) -> Monitor:
    return Monitor(compose)


@pytest.fixture(scope="module")
def loaded(compose: Compose, monitor: Monitor) -> float:
    """Seconds of a load of all kinds: imports, searches, cached and new inputs, and a file that is no image."""
    start = time.monotonic()
    wait_for_targets(monitor)
    stack = compose.stack()
    compose.run("ingest", "/images")
    number = 0
    while time.monotonic() - start < LOAD_SECONDS:
        search_and_embed(stack, number)
        write_again(stack)
        number += 1
    return time.monotonic() - start


def search_and_embed(stack: Stack, number: int) -> None:
    query = f'{{ Get {{ Image(nearText: {{concepts: ["apple {number}"]}}, limit: 3) {{ path }} }} }}'
    assert stack.graphql(query)
    assert stack.vectorize(texts=["known", f"new {number}"]).status_code == 200
    image = base64_of(IMAGES[number % len(IMAGES)].read_bytes())
    assert stack.vectorize(images=[image]).status_code == 200
    assert stack.vectorize(images=["?"]).status_code == 422
    time.sleep(0.3)


def write_again(stack: Stack) -> None:
    """One object over and over, since a rate needs a counter that grows between two scrapes."""
    written = {"class": "Image", "id": str(UUID(int=1)), "vectors": {"clip": [1.0, *[0.0] * 255]}}
    [answer] = stack.weaviate("POST", "/v1/batch/objects", {"objects": [written]}).json()
    assert answer["result"]["status"] == "SUCCESS", answer


def promtool(*words: str) -> str:
    mounts = [
        *("--volume", f"{FOLDER}/prometheus:/etc/prometheus:ro"),
        *("--volume", f"{FOLDER}/prometheus/no_key:/run/secrets/sidecar_key:ro"),
        *("--volume", f"{FOLDER}/prometheus/alerts.yaml:/rules/alerts.yaml:ro"),
        *("--volume", f"{ALERTS_TEST}:/rules/alerts_test.yaml:ro"),
    ]
    return docker("run", "--rm", "--network", "none", *mounts, "--entrypoint", "promtool", PROMETHEUS, *words).stdout


@pytest.mark.usefixtures("prometheus_image")
def test_promtool_accepts_the_configuration_and_the_rules() -> None:
    assert "SUCCESS" in promtool("check", "config", "--lint=all", "--lint-fatal", "/etc/prometheus/prometheus.yaml")
    assert f"{len(list_rules())} rules found" in promtool("check", "rules", "--lint-fatal", "/rules/alerts.yaml")


@pytest.mark.usefixtures("prometheus_image")
def test_alerts_fire_when_they_should_and_at_no_other_time() -> None:
    assert "SUCCESS" in promtool("test", "rules", "/rules/alerts_test.yaml")


def test_every_target_is_up(monitor: Monitor) -> None:
    assert wait_for_targets(monitor) == dict.fromkeys(("vectorizer", "weaviate", "prometheus"), ("up", ""))


def test_every_alert_is_loaded_and_evaluated(monitor: Monitor) -> None:
    time.sleep(2 * scrape_seconds())
    rules = [rule for group in monitor.get("rules")["groups"] for rule in group["rules"]]
    assert [rule["name"] for rule in rules] == [rule["alert"] for rule in list_rules()]
    assert {rule["health"] for rule in rules} == {"ok"}, rules


def test_weaviates_metrics_are_not_published(compose: Compose) -> None:
    ports = compose.container("weaviate")["NetworkSettings"]["Ports"]
    assert not ports.get("2112/tcp") and ports["8080/tcp"]


def test_every_query_of_the_dashboard_has_data_under_load(monitor: Monitor, loaded: float) -> None:
    empty = []
    for title, expression in list_queries():
        series = monitor.range(substitute(expression), loaded)
        if not any(finite(each) for each in series) and ONLY_ON_GPU not in expression:
            empty.append((title, expression))
    assert not empty


@pytest.mark.usefixtures("loaded")
def test_the_figures_are_those_of_the_load(monitor: Monitor, compose: Compose) -> None:
    queries: dict[str, str] = {}
    for title, expression in list_queries():
        queries.setdefault(title, substitute(expression))  # of panels with one title, the first shows the total
    nodes = compose.stack().weaviate("GET", "/v1/nodes?output=verbose").json()["nodes"]
    objects = nodes[0]["stats"]["objectCount"]
    assert objects > 300
    assert wait_for(monitor, queries["Objects"], objects) == objects
    embedded = sum(count_items(compose.stack(), kind) for kind in ("text", "image"))
    assert embedded > objects and wait_for(monitor, "sum(clip_items_total)", embedded) == embedded

    def highest(title: str) -> float:
        return max(number for series in monitor.range(queries[title], 300) for number in finite(series))

    for title in ("Images a second", "Texts a second", "Searches a second", "Errors a second", "Search, p95"):
        assert highest(title) > 0, title
    assert 0 < highest("Device at work") <= 1.1
    assert highest("Failed requests") == 0  # an image that cannot be read is a 422
    assert monitor.value(queries["Services down"]) == monitor.value(queries["Alerts"]) == 0


def count_items(stack: Stack, kind: str) -> float:
    """All that the sidecar made vectors for, as its own page has it."""
    page = stack.sidecar("GET", "/metrics").text
    return sum(float(value) for value in re.findall(rf'clip_items_total{{kind="{kind}",.*}} (\S+)', page))


@pytest.mark.usefixtures("loaded")
def test_a_sidecar_that_stops_is_seen(monitor: Monitor, compose: Compose) -> None:
    """The last of the tests on this stack."""
    compose("stop", "vectorizer")
    assert wait_for(monitor, 'up{job="vectorizer"}', 0) == 0
    pending = 'count(ALERTS{alertname="SidecarDown"})'
    assert wait_for(monitor, pending, 1) == 1
    down = dict(list_queries())["Services down"]
    assert monitor.value(substitute(down)) == 1


GRAFANA_USER = "472"  # of the official image
GRAFANA_FILES = """
touch /var/lib/grafana/grafana.db /tmp/plugin && ! touch /etc/grafana/written 2>/dev/null
cat /etc/grafana/provisioning/*/*.yaml "$GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH" >/dev/null
cat "${GF_SECURITY_ADMIN_PASSWORD__FILE:-/dev/null}"
"""


def run_as_grafana(image: str, files: Sequence[Path], **settings: str) -> str:
    """What a shell prints with the user, the mounts and the environment of Grafana, in another image."""
    compose = Compose(files, {"GRAFANA_IMAGE": image, **settings})
    try:
        options = ("--no-deps", "--user", GRAFANA_USER, "--entrypoint", "sh")
        return compose.run("grafana", "-euc", GRAFANA_FILES, options=options).stdout
    finally:
        compose("--profile", "*", "down", "--volumes", expect=None)


def test_grafana_may_write_its_database_and_read_its_files(prometheus_image: str) -> None:
    assert run_as_grafana(prometheus_image, (COMPOSE,)) == ""


def test_with_keys_grafana_gets_a_password_of_its_own(prometheus_image: str, tmp_path: Path) -> None:
    make_keys(tmp_path / "keys")
    password = run_as_grafana(prometheus_image, (COMPOSE, KEYS), KEYS=str(tmp_path / "keys")).strip()
    assert len(password) == 48
    settings = Compose((COMPOSE, KEYS)).config()["services"]["grafana"]["environment"]
    assert settings["GF_AUTH_ANONYMOUS_ENABLED"] == "false" and settings["GF_AUTH_DISABLE_LOGIN_FORM"] == "false"


@pytest.fixture(scope="module")
def keyed(
    images: tuple[str, str], prometheus_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Compose]:
    """The stack with keys."""
    folder: Path = tmp_path_factory.mktemp("observed") / "keys"
    make_keys(folder)
    with running(Compose((COMPOSE, KEYS), {"KEYS": str(folder)}), *SERVICES) as compose:
        yield compose


def test_with_keys_prometheus_sends_its_own_and_is_not_published(keyed: Compose) -> None:
    assert wait_for_targets(Monitor(keyed)) == dict.fromkeys(("vectorizer", "weaviate", "prometheus"), ("up", ""))
    assert not any(keyed.container("prometheus")["NetworkSettings"]["Ports"].values())
    answered = 'sum(clip_requests_total{route="/metrics", status="200"}) >= bool 1'  # counted at the next scrape
    assert wait_for(Monitor(keyed), answered, 1) == 1


def test_with_a_wrong_key_the_sidecar_is_down(keyed: Compose) -> None:
    """So the key is what let Prometheus in above. It reads the file at each scrape; the sidecar at its start only."""
    (Path(keyed.settings["KEYS"]) / "sidecar_key").write_text("wrong")
    assert wait_for(Monitor(keyed), 'up{job="vectorizer"}', 0) == 0
    assert "401" in Monitor(keyed).targets()["vectorizer"][1]
