"""Who may reach whom, and that Weaviate, the ingest and the sidecar find each other."""

import re
from urllib.parse import urlsplit

import pytest
import yaml

from tests.containers.chart.releases import (
    HELM_FOLDER,
    INGEST,
    KEYS,
    Manifest,
    Release,
    get_environment,
    get_labels,
    render,
    selects,
)
from tests.containers.chart.toolchain import ChartTools

pytestmark = pytest.mark.containers


def find_policy(release: Release, component: str) -> Manifest:
    labels = get_labels(release)[component]
    [policy] = [
        each["spec"]
        for each in release.list_kind("NetworkPolicy")
        if selects(labels, each["spec"]["podSelector"]["matchLabels"])
    ]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    return dict(policy)


def test_only_weaviate_the_ingest_and_the_monitoring_reach_the_sidecar(tools: ChartTools) -> None:
    release = render(tools, *INGEST)
    [rule] = find_policy(release, "sidecar")["ingress"]
    weaviate, ingest, monitoring = rule["from"]
    assert rule["ports"] == [{"protocol": "TCP", "port": release.sidecar["ports"][0]["containerPort"]}]
    assert weaviate == {"podSelector": {"matchLabels": {"app": "weaviate"}}}
    assert selects(get_labels(release)["ingest"], ingest["podSelector"]["matchLabels"])
    assert not selects(get_labels(release)["sidecar"], ingest["podSelector"]["matchLabels"])
    assert monitoring == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}


def test_the_sidecar_opens_connections_only_to_download_a_model(tools: ChartTools) -> None:
    assert find_policy(render(tools, *INGEST), "sidecar")["egress"] == []
    dns, https = find_policy(render(tools, *INGEST, "model.download=true"), "sidecar")["egress"]
    assert [each["port"] for each in dns["ports"]] == [53, 53]
    assert https == {"ports": [{"protocol": "TCP", "port": 443}]}


def test_the_ingest_reaches_what_its_variables_name_and_what_is_listed(tools: ChartTools) -> None:
    release = render(tools, *INGEST, "ingest.egress[0].ports[0].port=443")
    policy = find_policy(release, "ingest")
    _, sidecar, weaviate, listed = policy["egress"]
    assert policy["ingress"] == [] and listed == {"ports": [{"port": 443}]}
    assert selects(get_labels(release)["sidecar"], sidecar["to"][0]["podSelector"]["matchLabels"])
    own, database = release.list_kind("Service")
    environment = get_environment(release.ingest)
    assert find_target(own, environment["VECTORIZER_URL"]) == "http"
    targets = {find_target(database, environment["WEAVIATE_URL"])}
    targets.add(find_target(database, f"http://{host(environment)}:{environment['WEAVIATE_GRPC_PORT']}"))
    assert targets == {each["port"] for each in weaviate["ports"]} == {8080, 50051}
    assert weaviate["to"][0]["podSelector"]["matchLabels"] == database["spec"]["selector"] == {"app": "weaviate"}


def host(environment: dict[str, str]) -> str:
    return str(urlsplit(environment["WEAVIATE_URL"]).hostname)


def find_target(service: Manifest, url: str) -> int | str:
    """The port of the pods to which a Service sends what goes to `url`."""
    parts = urlsplit(url)
    assert parts.hostname == service["metadata"]["name"]
    [target] = [each["targetPort"] for each in service["spec"]["ports"] if each["port"] == parts.port]
    return int(target) if isinstance(target, int) else str(target)


@pytest.mark.parametrize("files", [["weaviate.yaml"], ["weaviate.yaml", "weaviate-keys.yaml"]])
def test_weaviate_s_values_name_the_service(tools: ChartTools, files: list[str]) -> None:
    values = [yaml.safe_load((HELM_FOLDER / file).read_text("utf-8")) for file in files]
    parts = urlsplit(values[-1]["modules"]["multi2vec-clip"]["inferenceUrl"])
    release = render(tools, *KEYS)
    service = release.list_kind("Service")[0]
    assert parts.hostname == service["metadata"]["name"]
    assert parts.port == service["spec"]["ports"][0]["port"]
    secrets = {name: secret for each in values for name, secret in each.get("envSecrets", {}).items()}
    mounted = re.findall(r"key: (\w+), path", release.text) if secrets else []
    assert parts.username == ("$(SIDECAR_LOGIN)" if secrets else None)
    assert set(secrets.values()) <= {"clip-keys"} and ("SIDECAR_LOGIN" in secrets) == ("SIDECAR_LOGIN" in mounted)
