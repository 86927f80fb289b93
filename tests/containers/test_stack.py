"""docker/compose.yaml from nothing: up, ingest, search, classify, restart, down."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.engine import START_SECONDS, Compose, docker, running
from tests.stack.support import EXAMPLES, Stack, clean_environment, http, run_command

pytestmark = pytest.mark.containers

GRAPHQL = '{ Get { Image(nearText: {concepts: ["a red apple"]}, limit: 3) { path _additional { distance } } } }'

PROGRESS = re.compile(r"\d+ of \d+")


@pytest.fixture(scope="module")
def compose(images: tuple[str, str]) -> Iterator[Compose]:
    with running(Compose()) as compose:
        yield compose


@pytest.fixture(scope="module")
def stack(compose: Compose) -> Stack:
    return compose.stack()


@pytest.fixture(scope="module")
def summary(compose: Compose) -> dict[str, int]:
    """Of the ingest of the examples by `docker compose run --rm ingest /images`."""
    [row] = compose.run("ingest", "/images", "--json").rows
    return row


def count_drawings() -> int:
    return len(list(EXAMPLES.rglob("*.png")))


def test_every_port_is_published_on_this_machine_only(compose: Compose) -> None:
    published = [
        (service, port, binding["HostIp"])
        for service in ("vectorizer", "weaviate")
        for port, bindings in compose.container(service)["NetworkSettings"]["Ports"].items()
        for binding in bindings or ()
    ]
    assert sorted(published) == [
        ("vectorizer", "8080/tcp", "127.0.0.1"),
        ("weaviate", "50051/tcp", "127.0.0.1"),
        ("weaviate", "8080/tcp", "127.0.0.1"),
    ]


def test_inside_of_a_container_only_the_known_ports_are_open(compose: Compose) -> None:
    """Besides those that are published, Weaviate's for metrics and other nodes, on the network of the stack alone."""
    nodes = {2112, 7946, 7947, 8300, 8301}  # metrics, gossip, data, raft
    assert open_ports(compose, "vectorizer") == {8080}
    assert {8080, 50051} <= open_ports(compose, "weaviate") <= {8080, 50051, *nodes}


def open_ports(compose: Compose, service: str) -> set[int]:
    """TCP ports on which anything in the container listens for other machines, from /proc/net/tcp and tcp6."""
    tables = compose("exec", "-T", service, "cat", "/proc/net/tcp", "/proc/net/tcp6").stdout
    rows = [row.split() for row in tables.splitlines() if ":" in row]
    listening = [row[1].partition(":") for row in rows if row[3] == "0A"]
    loopback = ("7F", "01000000")  # 127.0.0.0/8 also as IPv6, and ::1: the lowest byte comes first in each word
    return {int(port, 16) for host, _, port in listening if not host.endswith(loopback)}


def test_every_service_runs_without_rights(compose: Compose) -> None:
    for service in ("vectorizer", "weaviate"):
        host = compose.container(service)["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and host["Memory"] > 0
        assert host["SecurityOpt"] == ["no-new-privileges:true"] and not host["Privileged"]
        assert host["RestartPolicy"]["Name"] == "unless-stopped"


def test_an_ingest_stores_every_image(summary: dict[str, int], stack: Stack) -> None:
    assert (summary["added"], summary["failed"]) == (count_drawings(), 0)
    count = stack.weaviate("POST", "/v1/graphql", {"query": "{ Aggregate { Image { meta { count } } } }"}).json()
    assert count["data"]["Aggregate"]["Image"][0]["meta"]["count"] == count_drawings()


@pytest.mark.usefixtures("summary")
def test_weaviate_searches_by_text_through_the_sidecar(stack: Stack) -> None:
    rows = stack.graphql(GRAPHQL)
    assert "apple" in rows[0]["path"]
    distances = [row["_additional"]["distance"] for row in rows]
    assert len(rows) == 3 and distances == sorted(distances)


@pytest.mark.usefixtures("summary")
def test_the_commands_search_and_classify_in_containers(compose: Compose) -> None:
    assert "apple" in compose.run("search", "a red apple", "--json").rows[0]["path"]
    row = compose.run("classify", "/images/animals/panda.png", "--labels", "panda,wolf,apple", "--json").rows[0]
    assert row["label"] == "panda"


@pytest.mark.usefixtures("summary")
def test_the_page_is_published_on_this_machine_only_and_finds_what_was_ingested(compose: Compose) -> None:
    compose("up", "--detach", "--wait", "gallery", seconds=START_SECONDS)
    address = compose.port("gallery", 8091)
    assert address.startswith("127.0.0.1:")
    page = http("GET", f"http://{address}/?q=a+red+apple")
    assert page.status_code == 200 and "red-apple.png" in page.text
    [first, *_] = re.findall(r'data-id="([^"]+)"', page.text)
    assert http("GET", f"http://{address}/full/{first}").headers["content-type"] == "image/png", "--root /images"
    assert http("GET", f"http://{address}/", headers={"Host": "rebound.example"}).status_code == 421
    host = compose.container("gallery")["HostConfig"]
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"]


@pytest.mark.usefixtures("summary")
def test_the_commands_of_this_machine_find_the_same_stack(stack: Stack) -> None:
    assert "apple" in run_command("clip-search", "a red apple", "--json", env=stack.env, expect=0).rows[0]["path"]


@pytest.mark.usefixtures("summary")
def test_exit_codes_are_those_of_the_command(compose: Compose, tmp_path: Path) -> None:
    assert compose.run("ingest", "/images", "--json").rows[0]["unchanged"] == count_drawings()
    assert compose.run("ingest", "/nowhere", expect=2).stderr
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (tmp_path / "broken.png").chmod(0o644)
    tmp_path.chmod(0o755)
    mount = ("--volume", f"{tmp_path}:/broken:ro")
    assert "broken.png" in compose.run("ingest", "/broken", options=mount, expect=3).stderr
    away = ("--env", "WEAVIATE_URL=http://nowhere:8080", "--no-deps")
    assert compose.run("ingest", "/images", "--patience", "1", options=away, expect=4).stderr


def test_progress_is_visible(compose: Compose) -> None:
    """On a terminal: `script` gives compose one, which it passes on."""
    line = shlex.join(compose.words("run", "--rm", "ingest", "/images", "--collection", "Progress"))
    shown = subprocess.run(
        ["script", "--quiet", "--return", "--command", line, "/dev/null"],
        env=clean_environment() | compose.env,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        check=True,
    ).stdout
    assert PROGRESS.findall(shown)


@pytest.mark.usefixtures("summary")
def test_data_outlive_the_containers(compose: Compose) -> None:
    compose("down")
    compose("up", "--detach", "--wait", seconds=600)
    assert "apple" in compose.stack().graphql(GRAPHQL)[0]["path"]


def test_down_with_v_leaves_nothing(images: tuple[str, str]) -> None:
    other = Compose()
    with running(other):
        assert {f"{other.project}_weaviate", f"{other.project}_models"} <= set(names("volume"))
        other("down", "--volumes")
        assert not [
            name for kind in ("volume", "network", "container") for name in names(kind) if other.project in name
        ]


def names(kind: str) -> list[str]:
    shown = "{{.Names}}" if kind == "container" else "{{.Name}}"
    every = ("--all",) if kind == "container" else ()
    return docker(kind, "ls", *every, "--format", shown).stdout.split()
