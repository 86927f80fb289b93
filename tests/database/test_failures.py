import httpx
import pytest
from weaviate.exceptions import (
    UnexpectedStatusCodeError,
    WeaviateBaseError,
    WeaviateConnectionError,
    WeaviateQueryError,
)

from clip_vectorizer.database.connection import find_outage, is_sidecar_unreachable, weaviate_errors
from clip_vectorizer.errors import InputError, SidecarUnreachable, VectorizerError, WeaviateUnreachable

URL = "http://127.0.0.1:8080"
# Sentences of Weaviate 1.39, as the client passes them on
SIDECAR_GONE = (
    "explorer: get class: vectorize keywords: remote client vectorize: send POST request: "
    'Post "http://127.0.0.1:9090/vectorize": dial tcp 127.0.0.1:9090: connect: connection refused'
)
SIDECAR_SLOW = (
    'send POST request: Post "http://127.0.0.1:9090/vectorize": context deadline exceeded '
    "(Client.Timeout exceeded while awaiting headers)"
)
WEAVIATE_GONE = (
    "The request to Weaviate failed after 5 retries. Details: <_InactiveRpcError of RPC that terminated with:\n"
    '\tstatus = StatusCode.UNAVAILABLE\n\tdetails = "failed to connect to all addresses"\n>'
)
# The same of a cluster, when one node of three or two have died
REPLICA_GONE = (
    'cannot achieve consistency level "QUORUM": cannot reach enough replicas: required 2 replicas, got 1: "node-3": '
    'connect: Post "http://172.18.0.5:7947/replicas/indices/Image": dial tcp 172.18.0.5:7947: connect: no route to host'
)
LEADER_GONE = "failed to execute query: rpc error: code = Canceled desc = grpc: the client connection is closing"
TOO_LATE = "Deadline Exceeded"  # of a batch
CANCELLED = 'status = StatusCode.INTERNAL details = "Received RST_STREAM with error code 2"'


def raised_for(error: Exception) -> VectorizerError:
    with pytest.raises(VectorizerError) as raised, weaviate_errors(URL):
        raise error
    return raised.value


def test_a_sidecar_that_weaviate_cannot_reach_is_named_by_its_own_url() -> None:
    error = raised_for(WeaviateQueryError(SIDECAR_GONE, "GRPC search"))
    assert isinstance(error, SidecarUnreachable)
    assert "http://127.0.0.1:9090/vectorize" in str(error) and "clip-vectorizer serve" in str(error)


def test_a_slow_sidecar_is_not_an_absent_one() -> None:
    assert is_sidecar_unreachable(SIDECAR_GONE) and not is_sidecar_unreachable(SIDECAR_SLOW)


@pytest.mark.parametrize(
    ("message", "part"),
    [
        (
            "could not delete object: delete from index: "
            + "x" * 300
            + ": store is read-only due to: resource pressure'}",
            "stores nothing at present (store is read-only due to: resource pressure): its disk",
        ),
        ("put: write /var/lib/weaviate/raft/raft.db: no space left on device", "stores nothing at present (no space"),
        ("list class: search: tried to browse non-existing index for Image", "or its disk is full; if it stays so"),
        ("failed to execute query: leader not found", "or its disk is full; if it stays so, its log"),
    ],
)
def test_a_full_disk_is_named(message: str, part: str) -> None:
    error = raised_for(WeaviateBaseError(message))
    assert isinstance(error, WeaviateUnreachable) and part in str(error)


def test_a_sidecar_whose_model_is_not_loaded_is_not_ready() -> None:
    error = raised_for(WeaviateQueryError("fail with status 503: loading emoji; try again in a moment", "GRPC search"))
    assert isinstance(error, SidecarUnreachable) and "is not ready: loading emoji" in str(error)


def test_a_grpc_port_that_went_silent_is_an_unreachable_weaviate() -> None:
    error = raised_for(WeaviateQueryError(WEAVIATE_GONE, "GRPC search"))
    assert isinstance(error, WeaviateUnreachable) and URL in str(error)


@pytest.mark.parametrize("reason", [REPLICA_GONE, LEADER_GONE, CANCELLED, TOO_LATE])
def test_a_cluster_that_lost_nodes_is_an_unreachable_weaviate(reason: str) -> None:
    assert isinstance(raised_for(WeaviateQueryError(reason, "GRPC search")), WeaviateUnreachable)
    assert not is_sidecar_unreachable(reason)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_balancer_without_a_node_is_an_unreachable_weaviate(status: int) -> None:
    response = httpx.Response(status, text="<html>502 Bad Gateway</html>")
    assert isinstance(raised_for(UnexpectedStatusCodeError("Update object", response)), WeaviateUnreachable)
    assert type(raised_for(UnexpectedStatusCodeError("Update object", httpx.Response(500)))) is VectorizerError


def test_a_lost_connection_names_its_cause() -> None:
    lost = WeaviateConnectionError()
    lost.__context__ = httpx.ConnectError("[Errno 111] Connection refused")
    assert "Connection refused" in str(raised_for(lost))


def test_our_own_errors_pass_unchanged() -> None:
    error = InputError("mine")
    assert raised_for(error) is error


def test_any_other_failure_of_weaviate_becomes_one_line() -> None:
    error = raised_for(WeaviateBaseError("a\n  broken   query"))
    assert type(error) is VectorizerError and str(error) == f"Weaviate at {URL}: a broken query"


def test_the_batch_of_a_weaviate_that_shuts_down_is_an_outage_and_no_failure_of_its_objects() -> None:
    text = 'Every object failed during insertion. Here is the set of all errors: resolve node name "local" to host'
    assert isinstance(find_outage(text, URL), WeaviateUnreachable)
    assert find_outage("invalid text property 'label' on class 'Image': not a string", URL) is None
