"""docker/compose.cluster.yaml: what is stored and what is searched outlive a node and a sidecar that are killed."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.query import ImageSearch
from tests.containers.cluster import (
    BALANCERS,
    CLUSTER,
    NODES,
    CallStream,
    count_objects,
    find_balancer_image,
    find_leader,
    has_embedded,
    is_running,
    killed,
    list_containers,
    list_found,
    make_noise,
    query_node,
)
from tests.containers.engine import START_SECONDS, Compose, docker, running
from tests.containers.test_images import EMOJI
from tests.containers.test_keys import BODY, make_keys, read
from tests.containers.test_stack import GRAPHQL, count_drawings, names
from tests.stack.support import Stack, base64_of, http

pytestmark = pytest.mark.containers

KEYS = CLUSTER.with_name("compose.cluster-keys.yaml")
LEMON = (CLUSTER.parents[1] / "examples" / "images" / "fruit" / "lemon.png").read_bytes()
CATCH_UP_SECONDS = 240  # a node that was away compares every 30 s, and takes what is 30 s old
INGEST_SECONDS = 600  # a request that a node has when its leader dies waits for two minutes
STREAM_SECONDS = 8.0
PAUSE_SECONDS = 0.3  # between the queries of a stream, so that they leave processor time to an ingest
MOST_RESENT_BYTES = 1_048_576  # tune.bufsize


@pytest.fixture(scope="module")
def balancer() -> str:
    return find_balancer_image()


@pytest.fixture(scope="module")
def compose(images: tuple[str, str], balancer: str) -> Iterator[Compose]:
    with running(Compose((CLUSTER,))) as compose:
        yield compose


@pytest.fixture(scope="module")
def stack(compose: Compose) -> Stack:
    return compose.stack()


@pytest.fixture(scope="module")
def summary(compose: Compose) -> dict[str, int]:
    """Of the ingest of the examples, with all nodes there."""
    [row] = compose.run("ingest", "/images", "--json").rows
    return row


@pytest.mark.parametrize("files", [(CLUSTER,), (CLUSTER, KEYS)])
def test_every_service_of_the_cluster_is_hardened(files: tuple[Path, ...]) -> None:
    services = Compose(files, {"KEYS": "/keys"}).config()["services"]
    kept = {"weaviate", "vectorizer", "sidecar", *NODES}
    assert services.keys() == {*kept, "ingest", "search", "classify"}
    for name, service in services.items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"] and service["tmpfs"] == ["/tmp"], name
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", ())), name
        assert (service.get("restart") == "unless-stopped") == (name in kept), name
    assert {name for name, service in services.items() if service.get("ports")} == {"weaviate", "vectorizer"}


def test_only_the_nodes_and_their_balancer_reach_the_nodes_own_ports() -> None:
    services = Compose((CLUSTER,)).config()["services"]
    inside = {name for name, service in services.items() if "nodes" in service["networks"]}
    assert inside == {*NODES, "weaviate", "vectorizer"}
    assert all(set(services[node]["networks"]) == {"nodes"} for node in NODES)
    assert set(services["sidecar"]["networks"]) == {"sidecars"}


@pytest.mark.parametrize("servers", ["weaviate.cfg", "vectorizer.cfg"])
def test_the_configuration_of_a_balancer_is_valid(balancer: str, servers: str) -> None:
    files = ("-f", "/balancer/common.cfg", "-f", f"/balancer/{servers}")
    ran = docker("run", "--rm", "--volume", f"{BALANCERS}:/balancer:ro", balancer, "haproxy", "-c", *files)
    assert "WARNING" not in ran.stdout + ran.stderr


def test_every_node_holds_every_object(compose: Compose, stack: Stack, summary: dict[str, int]) -> None:
    assert (summary["added"], summary["failed"]) == (count_drawings(), 0)
    schema = stack.weaviate("GET", "/v1/schema/Image").json()
    assert schema["replicationConfig"]["factor"] == 3
    for node in NODES:
        wait_until_whole(compose, node, "Image")


def count_stored_and_found(compose: Compose, node: str, collection: str) -> tuple[int, int]:
    """How many objects this node holds, and how many of them its vector index finds."""
    found = list_found(compose, node, collection, EMOJI["embed_dim"])
    return count_objects(compose, node, collection), len(found)


@pytest.mark.usefixtures("summary")
def test_every_node_searches_by_text(compose: Compose) -> None:
    for node in NODES:
        rows = query_node(compose, node, GRAPHQL)["Get"]["Image"]
        assert len(rows) == 3 and "apple" in rows[0]["path"], node


@pytest.mark.usefixtures("summary")
@pytest.mark.parametrize("more", [(), ("--embed", "client")])
def test_a_node_killed_during_an_ingest_loses_nothing_and_every_query_is_answered(
    compose: Compose, stack: Stack, more: tuple[str, ...]
) -> None:
    """The leader of Raft, which is the node that is missed most. It holds and finds every object again afterwards."""
    collection, leader = f"Second{len(more)}", find_leader(stack)
    survivors = [node for node in NODES if node != leader]
    with ExitStack() as opened:
        streams = [opened.enter_context(stream) for stream in open_query_streams(stack, opened)]
        pool = opened.enter_context(ThreadPoolExecutor(1))
        words = ("ingest", "/images", "--collection", collection, "--json", *more)
        ingest = pool.submit(compose, "run", "--rm", "-T", "--no-deps", *words, seconds=INGEST_SECONDS)
        wait_until(lambda: has_objects(compose, survivors[0], collection), seconds=120)
        with killed(list_containers(compose, leader)[0]):
            dead = time.monotonic()
            [row] = ingest.result().rows
            time.sleep(max(0.0, dead + STREAM_SECONDS - time.monotonic()))
            assert (row["added"], row["failed"]) == (count_drawings(), 0)
            for node in survivors:
                wait_until_whole(compose, node, collection)
    for stored in (collection, "Image"):
        wait_until_whole(compose, leader, stored)
    first = streams[0].calls[0].start
    assert not [problem for stream in streams for problem in stream.problems], f"killed at {dead - first:.1f} s"
    assert all(stream.since(dead) for stream in streams), "no call after the kill"


@pytest.mark.usefixtures("summary")
def test_a_node_without_its_volume_gets_everything_again(compose: Compose) -> None:
    compose("rm", "--stop", "--force", "node-2")
    docker("volume", "rm", f"{compose.project}_node-2")
    compose("up", "--detach", "--wait", "--no-deps", "node-2", seconds=START_SECONDS)
    wait_until_whole(compose, "node-2", "Image")


def open_query_streams(stack: Stack, opened: ExitStack) -> list[CallStream]:
    """A program that stays connected, one that connects for each query, and plain GraphQL, on the whole collection."""
    staying = opened.enter_context(connect(stack))
    calls: list[Callable[[], None]] = [
        lambda: find_apple(staying),
        lambda: find_lemon(staying),
        partial(connect_and_find, stack),
        lambda: check_apple(stack.graphql(GRAPHQL)[0]["path"]),
    ]
    return [CallStream(call, PAUSE_SECONDS) for call in calls]


def connect(stack: Stack) -> ImageSearch:
    return ImageSearch.connect(stack.weaviate_url, grpc_port=stack.grpc_port, vectorizer_url=stack.vectorizer_url)


def connect_and_find(stack: Stack) -> None:
    with connect(stack) as search:
        find_apple(search)


def find_apple(search: ImageSearch) -> None:
    check_apple(search.by_text("a red apple", limit=3)[0].path)


def find_lemon(search: ImageSearch) -> None:
    assert search.by_image(LEMON, limit=1)[0].path == "fruit/lemon.png"


def check_apple(path: str) -> None:
    assert "apple" in path, path


def wait_until_whole(compose: Compose, node: str, collection: str) -> None:
    end = time.monotonic() + CATCH_UP_SECONDS
    while (counts := count_stored_and_found(compose, node, collection)) != (count_drawings(), count_drawings()):
        assert time.monotonic() < end, f"{node} holds and finds {counts} of {count_drawings()}"
        time.sleep(2)


def has_objects(compose: Compose, node: str, collection: str) -> bool:
    """Whether the ingest is under way: False while there is no collection."""
    try:
        return count_objects(compose, node, collection) > 0
    except AssertionError:
        return False


def wait_until(is_true: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, f"not so after {seconds:g} s"
        time.sleep(0.5)


def test_a_sidecar_that_is_killed_fails_no_request(compose: Compose, stack: Stack) -> None:
    first, second = list_containers(compose, "sidecar")
    numbers = count()
    with ExitStack() as opened:
        sidecar = opened.enter_context(VectorizerClient(stack.vectorizer_url))
        streams = [
            opened.enter_context(CallStream(call))
            for call in (
                lambda: embed_text(stack, next(numbers)),
                lambda: embed_image(stack, next(numbers)),
                lambda: embed_large_image(sidecar, next(numbers)),
            )
        ]
        for name in (first, second):  # the first one serves again when the second one dies
            time.sleep(STREAM_SECONDS)
            with killed(name):
                dead = time.monotonic()
                time.sleep(STREAM_SECONDS)
                assert not is_running(name)
            wait_until(partial(has_embedded, name), seconds=60)
    first = streams[0].calls[0].start
    assert not [problem for stream in streams for problem in stream.problems], f"killed at {dead - first:.1f} s"
    assert all(stream.since(dead) for stream in streams), "no call after the kill"


def embed_text(stack: Stack, number: int) -> None:
    """Each text is new, so no cache answers it."""
    response = stack.vectorize(texts=[f"apple number {number}"])
    assert response.status_code == 200 and len(response.json()["textVectors"]) == 1, response.text


def embed_image(stack: Stack, number: int) -> None:
    response = stack.vectorize(images=[base64_of(make_noise(number, 64))])
    assert response.status_code == 200 and len(response.json()["imageVectors"]) == 1, response.text


def embed_large_image(sidecar: VectorizerClient, number: int) -> None:
    """More than the balancer keeps to send it again: our client does that."""
    noise = make_noise(number, 640)
    assert len(noise) > MOST_RESENT_BYTES
    assert sidecar.embed_images([noise]).shape == (1, EMOJI["embed_dim"])


def test_the_cluster_with_keys_refuses_and_leaves_nothing(
    images: tuple[str, str], balancer: str, tmp_path: Path
) -> None:
    make_keys(tmp_path / "keys")
    key, sidecar_key = (read(tmp_path / "keys", name) for name in ("weaviate_key", "sidecar_key"))
    with running(Compose((CLUSTER, KEYS), {"KEYS": str(tmp_path / "keys")})) as compose:
        stack = compose.stack(key)
        for _ in NODES:  # whichever node the balancer chooses
            assert http("GET", f"{stack.weaviate_url}/v1/schema").status_code == 401
            assert stack.weaviate("GET", "/v1/schema").status_code == 200
        url, bearer = f"{stack.vectorizer_url}/vectorize", {"Authorization": f"Bearer {sidecar_key}"}
        assert http("POST", url, content=BODY).status_code == 401
        assert http("POST", url, content=BODY, headers=bearer).status_code == 200
        [row] = compose.run("ingest", "/images/fruit", "--json").rows
        assert row["added"] > 10 and row["failed"] == 0
        assert "apple" in compose.run("search", "a red apple", "--json").rows[0]["path"]
        shown = json.dumps([compose.container(node) for node in NODES])
        assert key not in shown and sidecar_key not in shown
        assert {f"{compose.project}_{node}" for node in NODES} <= set(names("volume"))
        compose("down", "--volumes")
        left = [name for kind in ("volume", "network", "container") for name in names(kind)]
        assert not [name for name in left if compose.project in name]
