"""How every client reaches Weaviate: the connection, and the command-line options that name it."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
import weaviate
from weaviate.auth import Auth
from weaviate.config import AdditionalConfig, GrpcConfig, Timeout
from weaviate.connect import ConnectionParams, ProtocolParams
from weaviate.exceptions import ResponseCannotBeDecodedError, UnexpectedStatusCodeError

from clip_vectorizer.errors import SettingsError, WeaviateUnreachable
from clip_vectorizer.failures import UNAUTHORISED, weaviate_errors

DEFAULT_URL = "http://localhost:8080"
DEFAULT_GRPC_PORT = 50051
DEFAULT_VECTORIZER_URL = "http://localhost:9090"
# An insert answers when its last image has been vectorised: a large model on two cores needs minutes for a batch.
TIMEOUTS = Timeout(init=5, query=60, insert=600)
REACH_SECONDS = 5.0
# After a long outage gRPC would wait up to two minutes before it looks again whether the server is back.
RECONNECT = [("grpc.initial_reconnect_backoff_ms", 500), ("grpc.max_reconnect_backoff_ms", 2000)]

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Connection:
    """Where Weaviate and the sidecar answer, and the keys of both."""

    weaviate_url: str = DEFAULT_URL
    grpc_port: int | None = None
    api_key: str | None = None
    vectorizer_url: str | None = None  # None: not named, so the default where it is needed
    vectorizer_api_key: str | None = None


def connect_weaviate(url: str, grpc_port: int | None = None, api_key: str | None = None) -> weaviate.WeaviateClient:
    """A connected client (a context manager: leave it to close the connection).

    Raises SettingsError for a URL that cannot be one, WeaviateUnreachable when nothing there answers as Weaviate.
    """
    address = parse_address(url, grpc_port)
    client = open_client(address, api_key)
    try:
        say_hello(client, url)
        reach_grpc(address)
    except BaseException:
        client.close()
        raise
    return client


@dataclass(frozen=True, slots=True)
class Address:
    url: str
    host: str
    port: int
    grpc_port: int
    secure: bool


def parse_address(url: str, grpc_port: int | None) -> Address:
    """`http://HOST[:PORT]` or `https://HOST[:PORT]`; gRPC is at the same host. Raises SettingsError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:  # a port that is no number, brackets that do not close
        raise bad_url(url, str(error)) from None
    if parts.scheme not in ("http", "https") or not host:
        raise bad_url(url, "no http:// or https:// and host in it")
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise bad_url(url, "more than a host and a port (an API key goes into WEAVIATE_API_KEY)")
    secure = parts.scheme == "https"
    address = Address(url, host, port or (443 if secure else 80), grpc_port or DEFAULT_GRPC_PORT, secure)
    if address.port == address.grpc_port:
        raise SettingsError(
            f"WEAVIATE_GRPC_PORT={address.grpc_port} is the HTTP port of {url} too; "
            f"give Weaviate's gRPC port (its default is {DEFAULT_GRPC_PORT})"
        )
    return address


def bad_url(url: str, reason: str) -> SettingsError:
    return SettingsError(f"WEAVIATE_URL={url!r}: {reason}; expected http://HOST:PORT, for example {DEFAULT_URL}")


@asynccontextmanager
async def connect_weaviate_async(
    url: str, grpc_port: int | None = None, api_key: str | None = None
) -> AsyncIterator[weaviate.WeaviateAsyncClient]:
    """The same for asyncio. What is wrong with the address is found out sooner by `connect_weaviate`."""
    client = weaviate.WeaviateAsyncClient(**settings_of(parse_address(url, grpc_port), api_key))
    with weaviate_errors(url):
        await client.connect()
    try:
        yield client
    finally:
        await client.close()


def open_client(address: Address, api_key: str | None) -> weaviate.WeaviateClient:
    return weaviate.WeaviateClient(**settings_of(address, api_key))


def settings_of(address: Address, api_key: str | None) -> dict[str, Any]:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return {
        "connection_params": ConnectionParams(
            http=ProtocolParams(host=host, port=address.port, secure=address.secure),
            grpc=ProtocolParams(host=host, port=address.grpc_port, secure=address.secure),
        ),
        "auth_client_secret": Auth.api_key(api_key) if api_key else None,
        "additional_config": AdditionalConfig(timeout=TIMEOUTS, grpc_config=GrpcConfig(channel_options=RECONNECT)),
        # The client's own checks ask pypi.org for a newer release at every start; `reach_grpc` replaces the useful one.
        "skip_init_checks": True,
    }


def say_hello(client: weaviate.WeaviateClient, url: str) -> None:
    with weaviate_errors(url):
        try:
            client.connect()
        except (ValueError, LookupError, TypeError, ResponseCannotBeDecodedError, UnexpectedStatusCodeError) as error:
            if isinstance(error, UnexpectedStatusCodeError) and error.status_code in UNAUTHORISED:
                raise
            raise WeaviateUnreachable(
                f"what answers at {url} is not Weaviate; check WEAVIATE_URL (or --weaviate-url)"
            ) from error


def reach_grpc(address: Address) -> None:
    try:
        socket.create_connection((address.host, address.grpc_port), timeout=REACH_SECONDS).close()
    except OSError as error:
        raise WeaviateUnreachable(
            f"Weaviate at {address.url} answers, but its gRPC port {address.grpc_port} does not ({error}); "
            "set WEAVIATE_GRPC_PORT (or --weaviate-grpc-port) to the server's GRPC_PORT"
        ) from error


def weaviate_options(command: Command) -> Command:
    """Adds --weaviate-url, --weaviate-grpc-port and --weaviate-api-key (`weaviate_url`, ... in the function)."""
    for option in (api_key_option, grpc_port_option, url_option):  # the last one applied is the first one in --help
        command = option(command)
    return command


url_option = click.option(
    "--weaviate-url", envvar="WEAVIATE_URL", default=DEFAULT_URL, show_default=True, show_envvar=True
)
grpc_port_option = click.option(
    "--weaviate-grpc-port",
    envvar="WEAVIATE_GRPC_PORT",
    type=click.IntRange(1, 65535),
    default=DEFAULT_GRPC_PORT,
    show_default=True,
    show_envvar=True,
)
api_key_option = click.option(
    "--weaviate-api-key", envvar="WEAVIATE_API_KEY", default=None, show_default="none", show_envvar=True
)
vectorizer_option = click.option(
    "--vectorizer-url",
    envvar="VECTORIZER_URL",
    default=DEFAULT_VECTORIZER_URL,
    show_default=True,
    show_envvar=True,
    help="The sidecar, the same one that Weaviate uses.",
)
vectorizer_key_option = click.option(
    "--vectorizer-api-key",
    envvar="VECTORIZER_API_KEY",
    default=None,
    show_default="none",
    show_envvar=True,
    help="A key of the sidecar; a password goes into its address.",
)
