"""Connects to Weaviate, and translates the exceptions of its client: what to start, which setting to change."""

import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import weaviate
from weaviate.auth import Auth
from weaviate.config import AdditionalConfig, GrpcConfig, Timeout
from weaviate.connect import ConnectionParams, ProtocolParams
from weaviate.exceptions import (
    ResponseCannotBeDecodedError,
    UnexpectedStatusCodeError,
    WeaviateBaseError,
    WeaviateClosedClientError,
    WeaviateConnectionError,
    WeaviateGRPCUnavailableError,
    WeaviateStartUpError,
    WeaviateTimeoutError,
)

from clip_vectorizer.defaults import DEFAULT_GRPC_PORT, DEFAULT_URL
from clip_vectorizer.errors import (
    SettingsError,
    SidecarUnreachable,
    Unreachable,
    VectorizerError,
    WeaviateUnreachable,
)
from clip_vectorizer.protocol import is_loading
from clip_vectorizer.public_urls import mask_user

# An insert returns when its last image has been vectorised: a large model on two cores needs minutes for a batch.
TIMEOUTS = Timeout(init=5, query=60, insert=600)
GRPC_CHECK_SECONDS = 5.0
# After a long outage gRPC would wait up to two minutes before it tries again to reach the server.
RECONNECT_OPTIONS = [("grpc.initial_reconnect_backoff_ms", 500), ("grpc.max_reconnect_backoff_ms", 2000)]
CONNECTION_ERRORS = (
    httpx.TransportError,
    WeaviateClosedClientError,
    WeaviateConnectionError,
    WeaviateGRPCUnavailableError,
    WeaviateStartUpError,
    WeaviateTimeoutError,
)
UNAUTHORISED_STATUSES = (401, 403)
# What a balancer in front of several nodes answers itself when it lost the node of a request.
GATEWAY_STATUSES = (502, 503, 504)
# Messages of Weaviate's Go client when its own request reaches no server. A timeout has `send POST request` too,
# but also `awaiting headers`: the sidecar is there, and slow.
SIDECAR_UNREACHABLE_MARKS = ("dial tcp", "connection refused", "connection reset", "no such host", "EOF")
# Messages of a cluster that lost a node: too few replicas answer, or the others have not elected a new leader yet. The
# first two may quote the request to the lost node, which has a mark of SIDECAR_UNREACHABLE_MARKS.
CLUSTER_MARKS = (
    "cannot achieve consistency level",
    "cannot reach enough replicas",
    "failed to execute query",  # of Raft: its request was on the way to the lost leader
    "leader not found",  # also of one node: its store of collections is stopped, as it starts, or its disk is full
    "tried to browse non-existing index",  # the same: a collection without data
)
# RST_STREAM: a balancer cancelled the request. The last two: Weaviate still answers while it shuts down [1.39.0].
WEAVIATE_UNREACHABLE_MARKS = (
    "StatusCode.UNAVAILABLE",
    "StatusCode.DEADLINE_EXCEEDED",
    "Deadline Exceeded",  # as the client words it of a batch; seen when a node died that had the request
    "RST_STREAM",
    "no read replica",
    "resolve node name",
)
# What Weaviate answers while it stores nothing: read-only, at DISK_USE_READONLY_PERCENTAGE, or on a full disk.
FULL_PATTERN = re.compile(r"store is read-only[\w ,:-]*|no space left on device", re.IGNORECASE)
REASON_PATTERN = re.compile(r"""((?:Post|Get) "http.*|StatusCode\.\w+ details = "[^"]*")""")
REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """The addresses of Weaviate and of the sidecar, and the keys of both."""

    weaviate_url: str = DEFAULT_URL
    grpc_port: int | None = None
    api_key: str | None = None
    vectorizer_url: str | None = None  # None: the default where one is needed
    vectorizer_api_key: str | None = None


def connect_weaviate(url: str, grpc_port: int | None = None, api_key: str | None = None) -> weaviate.WeaviateClient:
    """A connected client, a context manager that closes the connection.

    Raises SettingsError for an invalid URL, WeaviateUnreachable when no Weaviate responds there.
    """
    address = parse_address(url, grpc_port)
    client = open_client(address, api_key)
    try:
        open_http(client, url)
        check_grpc(address)
    except BaseException:
        client.close()
        raise
    return client


@dataclass(frozen=True, slots=True)
class WeaviateAddress:
    url: str
    host: str
    port: int
    grpc_port: int
    secure: bool


def parse_address(url: str, grpc_port: int | None) -> WeaviateAddress:
    """`http://HOST[:PORT]` or `https://HOST[:PORT]`; gRPC is at the same host. Raises SettingsError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:  # a port that is no number, brackets that do not close
        raise invalid_url(url, str(error)) from None
    if parts.scheme not in ("http", "https") or not host:
        raise invalid_url(url, "no http:// or https:// and host in it")
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise invalid_url(url, "more than a host and a port (an API key goes into WEAVIATE_API_KEY)")
    secure = parts.scheme == "https"
    address = WeaviateAddress(url, host, port or (443 if secure else 80), grpc_port or DEFAULT_GRPC_PORT, secure)
    if address.port == address.grpc_port:
        raise SettingsError(
            f"WEAVIATE_GRPC_PORT={address.grpc_port} is the HTTP port of {url} too; "
            f"give Weaviate's gRPC port (its default is {DEFAULT_GRPC_PORT})"
        )
    return address


def invalid_url(url: str, reason: str) -> SettingsError:
    return SettingsError(
        f"WEAVIATE_URL={mask_user(url)!r}: {reason}; expected http://HOST:PORT, for example {DEFAULT_URL}"
    )


@asynccontextmanager
async def connect_weaviate_async(
    url: str, grpc_port: int | None = None, api_key: str | None = None
) -> AsyncIterator[weaviate.WeaviateAsyncClient]:
    """As `connect_weaviate`, for asyncio; without its check of the gRPC port."""
    client = weaviate.WeaviateAsyncClient(**client_arguments(parse_address(url, grpc_port), api_key))
    with weaviate_errors(url):
        await client.connect()
    try:
        yield client
    finally:
        await client.close()


def open_client(address: WeaviateAddress, api_key: str | None) -> weaviate.WeaviateClient:
    return weaviate.WeaviateClient(**client_arguments(address, api_key))


def client_arguments(address: WeaviateAddress, api_key: str | None) -> dict[str, Any]:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return {
        "connection_params": ConnectionParams(
            http=ProtocolParams(host=host, port=address.port, secure=address.secure),
            grpc=ProtocolParams(host=host, port=address.grpc_port, secure=address.secure),
        ),
        "auth_client_secret": Auth.api_key(api_key) if api_key else None,
        "additional_config": AdditionalConfig(
            timeout=TIMEOUTS, grpc_config=GrpcConfig(channel_options=RECONNECT_OPTIONS)
        ),
        # The client's own checks look for a newer release on pypi.org at every start; `check_grpc` does the useful one.
        "skip_init_checks": True,
    }


def open_http(client: weaviate.WeaviateClient, url: str) -> None:
    with weaviate_errors(url):
        try:
            client.connect()
        except (ValueError, LookupError, TypeError, ResponseCannotBeDecodedError, UnexpectedStatusCodeError) as error:
            if isinstance(error, UnexpectedStatusCodeError) and error.status_code in UNAUTHORISED_STATUSES:
                raise
            raise WeaviateUnreachable(
                f"what answers at {url} is not Weaviate; check WEAVIATE_URL (or --weaviate-url)"
            ) from error


def check_grpc(address: WeaviateAddress) -> None:
    try:
        socket.create_connection((address.host, address.grpc_port), timeout=GRPC_CHECK_SECONDS).close()
    except OSError as error:
        raise WeaviateUnreachable(
            f"Weaviate at {address.url} answers, but its gRPC port {address.grpc_port} does not ({error}); "
            "set WEAVIATE_GRPC_PORT (or --weaviate-grpc-port) to the server's GRPC_PORT"
        ) from error


@contextmanager
def weaviate_errors(url: str) -> Iterator[None]:
    """Translate exceptions of the Weaviate client: Unreachable (Weaviate or its sidecar), else VectorizerError."""
    try:
        yield
    except VectorizerError:
        raise
    except (WeaviateBaseError, httpx.HTTPError) as error:
        raise translate_error(error, url) from error


def translate_error(error: Exception, url: str) -> VectorizerError:
    """The error of this project for an exception of the client of the Weaviate at `url`."""
    text = read_message(error)
    reason = extract_reason(text)
    status = error.status_code if isinstance(error, UnexpectedStatusCodeError) else None
    if status in UNAUTHORISED_STATUSES:
        return WeaviateUnreachable(
            f"Weaviate at {url} refuses the API key (HTTP {status}); set WEAVIATE_API_KEY (or --weaviate-api-key)"
        )
    if outage := find_outage(text, url):
        return outage
    if isinstance(error, CONNECTION_ERRORS) or status in GATEWAY_STATUSES:
        return no_weaviate_error(url, reason)
    return VectorizerError(f"Weaviate at {url}: {reason}")


def find_outage(text: str, url: str) -> Unreachable | None:
    """The error if `text`, a message of the Weaviate at `url`, means that it or its sidecar cannot work at present.

    No object is at fault then, and the same request succeeds later.
    """
    reason = extract_reason(text)
    if is_cluster_short(text):
        return WeaviateUnreachable(
            f"Weaviate at {url} answers, but cannot read or change its collections ({reason}): it is "
            "starting, a node is down, or its disk is full; if it stays so, its log has the reason"
        )
    if is_sidecar_unreachable(reason):
        return sidecar_unreachable_error(url, reason)
    if is_loading(text):
        return SidecarUnreachable(f"the sidecar of Weaviate at {url} is not ready: {text[text.rindex('loading ') :]}")
    if full := FULL_PATTERN.search(text):
        return WeaviateUnreachable(
            f"Weaviate at {url} stores nothing at present ({full[0].strip()}): its disk or its memory is nearly full; "
            "free some of it, then run the same command again"
        )
    if any(mark in text for mark in WEAVIATE_UNREACHABLE_MARKS):
        return no_weaviate_error(url, reason)
    return None


def no_weaviate_error(url: str, reason: str) -> WeaviateUnreachable:
    return WeaviateUnreachable(
        f"no Weaviate answers at {url} ({reason}); start one (`clip-demo up` prints its settings), "
        "or set WEAVIATE_URL and WEAVIATE_GRPC_PORT (or --weaviate-url, --weaviate-grpc-port)"
    )


def is_sidecar_unreachable(reason: str) -> bool:
    """Whether `reason`, a message of Weaviate, means that Weaviate cannot reach its sidecar."""
    return any(mark in reason for mark in SIDECAR_UNREACHABLE_MARKS) and not is_cluster_short(reason)


def is_cluster_short(reason: str) -> bool:
    """Whether `reason` means that a cluster has too few nodes, or no leader yet."""
    return any(mark in reason for mark in CLUSTER_MARKS)


def sidecar_unreachable_error(url: str, reason: str) -> SidecarUnreachable:
    return SidecarUnreachable(
        f"Weaviate at {url} cannot reach its sidecar ({reason}); start it with `clip-vectorizer serve`, "
        "or correct CLIP_INFERENCE_API of the Weaviate server"
    )


def read_message(error: Exception) -> str:
    """The message of `error` on one line; of a lost connection, that of its root cause."""
    root: BaseException = error
    while isinstance(error, CONNECTION_ERRORS) and root.__context__ is not None:
        root = root.__context__
    return " ".join(str(root).split()) or type(root).__name__


def extract_reason(text: str) -> str:
    """The innermost of wrapped messages."""
    detail = REASON_PATTERN.search(text)
    return (detail[1] if detail else text)[:REASON_LENGTH].rstrip(" .")
