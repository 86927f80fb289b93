"""A private Weaviate: access, persistence, and its errors at start."""

import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from clip_vectorizer.errors import StackError
from ingest.embedded import LocalWeaviate
from ingest.embedded.local_server import ATTEMPTS, PortTaken
from ingest.embedded.weaviate import select_inherited
from tests.listening import find_listener, list_open_ports

NO_SIDECAR = "http://127.0.0.1:1"


def program(folder: Path, script: str) -> Path:
    file = folder / "server"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_the_error_of_a_server_that_does_not_start_has_its_last_lines(tmp_path: Path) -> None:
    server = program(tmp_path, "echo 'panic: the disk is on fire'; exit 3")
    with (
        pytest.raises(StackError, match=r"Weaviate ended with exit code 3 (?s:.*)panic: the disk is on fire"),
        LocalWeaviate(tmp_path / "data", NO_SIDECAR, server),
    ):
        pass


def test_after_a_taken_port_other_ports_are_tried(tmp_path: Path) -> None:
    server = program(tmp_path, f"echo \"$@\" >> {tmp_path / 'tries'}; echo 'bind: address already in use'; exit 1")
    with pytest.raises(PortTaken), LocalWeaviate(tmp_path / "data", NO_SIDECAR, server):
        pass
    tries = (tmp_path / "tries").read_text().splitlines()
    assert len(set(tries)) == ATTEMPTS


def test_a_server_gets_none_of_the_users_weaviate_settings() -> None:
    env = {"HOME": "/home/me", "CLUSTER_JOIN": "elsewhere", "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true"}
    assert select_inherited(env) == {"HOME": "/home/me"}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weaviate")


@pytest.fixture(scope="module")
def weaviate(data_dir: Path) -> Iterator[LocalWeaviate]:
    with LocalWeaviate(data_dir, NO_SIDECAR) as running:
        yield running


@pytest.mark.stack
def test_http_needs_the_key(weaviate: LocalWeaviate) -> None:
    url = f"{weaviate.url}/v1/schema"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"Authorization": "Bearer guessed"}).status_code == 401
    assert httpx.get(url, headers=key(weaviate)).status_code == 200


@pytest.mark.stack
def test_grpc_which_listens_on_every_interface_needs_the_key(weaviate: LocalWeaviate) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{weaviate.grpc_port}") as channel:
        call = channel.unary_unary("/weaviate.v1.Weaviate/Search", lambda data: data, lambda data: data)
        with pytest.raises(grpc.RpcError) as refused:
            call(b"", timeout=30)
    assert "unauthorized: invalid api key" in str(refused.value)


@pytest.mark.stack
def test_the_cluster_port_which_listens_on_every_interface_needs_the_password(
    weaviate: LocalWeaviate, data_dir: Path
) -> None:
    match = re.search(
        r"cluster api server is ready to handle requests on :(\d+)", (data_dir / "weaviate.log").read_text()
    )
    assert match
    port = match[1]
    assert httpx.get(f"http://127.0.0.1:{port}/nodes/status").status_code == 401


@pytest.mark.stack
def test_no_port_but_grpc_and_cluster_is_reachable_from_elsewhere(weaviate: LocalWeaviate, data_dir: Path) -> None:
    """These two cannot be bound to loopback; both need a secret, see above."""
    port = int(weaviate.url.rpartition(":")[2])
    own = list_open_ports(find_listener(port))
    assert weaviate.grpc_port in own and len(own) == 2
    assert port not in own


@pytest.mark.stack
def test_two_may_not_share_one_folder(weaviate: LocalWeaviate, data_dir: Path) -> None:
    second = LocalWeaviate(data_dir, NO_SIDECAR, release_seconds=0.5)
    with pytest.raises(StackError, match="another process runs a Weaviate on"), second:
        pass


@pytest.mark.stack
def test_data_is_there_at_the_next_start_on_other_ports(tmp_path: Path) -> None:
    with LocalWeaviate(tmp_path, NO_SIDECAR) as first:
        made = httpx.post(f"{first.url}/v1/schema", json={"class": "Kept"}, headers=key(first))
        assert made.status_code == 200, made.text
    with LocalWeaviate(tmp_path, NO_SIDECAR) as second:
        assert second.api_key != first.api_key
        assert httpx.get(f"{second.url}/v1/schema/Kept", headers=key(second)).status_code == 200


def key(weaviate: LocalWeaviate) -> dict[str, str]:
    return {"Authorization": f"Bearer {weaviate.api_key}"}
