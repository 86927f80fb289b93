import ast
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import click
import pytest
from click.testing import CliRunner

from clip_vectorizer.common_options import vectorizer_option, weaviate_options
from clip_vectorizer.database.connection import connect_weaviate, parse_address
from clip_vectorizer.errors import SettingsError, WeaviateUnreachable
from tests.http_server import running


class Answer(BaseHTTPRequestHandler):
    """Answer every GET with `status` and `body`."""

    status, body = 200, b""

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def http_server(status: int, body: bytes) -> Iterator[str]:
    handler = type("Handler", (Answer,), {"status": status, "body": body})
    with running(HTTPServer(("127.0.0.1", 0), handler)) as url:
        yield url


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("localhost:8080", "no http:// or https:// and host"),
        ("ftp://localhost:8080", "no http:// or https:// and host"),
        ("http://", "no http:// or https:// and host"),
        ("http://localhost:99999", "(?i)port out of range"),
        ("http://localhost:many", "(?i)port could not be cast"),
        ("http://localhost:8080/v1", "more than a host and a port"),
        ("http://user:secret@localhost:8080", "WEAVIATE_API_KEY"),
    ],
)
def test_a_url_that_cannot_be_one_is_named_with_an_example(url: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as raised:
        parse_address(url, None)
    assert "WEAVIATE_URL=" in str(raised.value) and "http://localhost:8080" in str(raised.value)


@pytest.mark.parametrize(
    ("url", "host", "port", "secure"),
    [
        ("http://127.0.0.1:18080", "127.0.0.1", 18080, False),
        ("http://weaviate", "weaviate", 80, False),
        ("https://search.example.com/", "search.example.com", 443, True),
        ("http://[::1]:8080", "::1", 8080, False),
    ],
)
def test_a_url_names_host_port_and_security(url: str, host: str, port: int, secure: bool) -> None:
    address = parse_address(url, None)
    assert (address.host, address.port, address.secure, address.grpc_port) == (host, port, secure, 50051)


def test_one_port_for_both_protocols_is_refused() -> None:
    with pytest.raises(SettingsError, match="WEAVIATE_GRPC_PORT=8080 is the HTTP port"):
        parse_address("http://localhost:8080", 8080)


def test_the_error_for_a_closed_port_names_the_url_and_the_command_to_start() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(WeaviateUnreachable, match=f"no Weaviate answers at {url} .*clip-demo up") as raised:
        connect_weaviate(url)
    assert "refused" in str(raised.value)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"model": "emoji"}'])
def test_another_program_at_the_url_is_not_taken_for_weaviate(body: bytes) -> None:
    with http_server(200, body) as url, pytest.raises(WeaviateUnreachable, match="is not Weaviate"):
        connect_weaviate(url)


def test_a_404_is_not_taken_for_weaviate() -> None:
    with http_server(404, b"{}") as url, pytest.raises(WeaviateUnreachable, match="is not Weaviate"):
        connect_weaviate(url)


def test_the_error_for_a_wrong_api_key_names_the_variable() -> None:
    with http_server(401, b"{}") as url, pytest.raises(WeaviateUnreachable, match="set WEAVIATE_API_KEY"):
        connect_weaviate(url)


def test_a_silent_grpc_port_and_a_silent_weaviate_have_different_errors() -> None:
    port = closed_port()
    with http_server(200, b'{"version": "1.39.0"}') as url, pytest.raises(WeaviateUnreachable) as raised:
        connect_weaviate(url, port)
    assert f"gRPC port {port} does not" in str(raised.value) and "WEAVIATE_GRPC_PORT" in str(raised.value)


def test_options_read_their_variables_and_show_them() -> None:
    @click.command()
    @weaviate_options
    @vectorizer_option
    def command(**values: object) -> None:
        click.echo(repr(values))

    env = {
        "WEAVIATE_URL": "http://w:1",
        "WEAVIATE_GRPC_PORT": "2",
        "WEAVIATE_API_KEY": "k",
        "VECTORIZER_URL": "http://v:3",
    }
    result = CliRunner().invoke(command, env=env)
    assert ast.literal_eval(result.output) == {
        "weaviate_url": "http://w:1",
        "weaviate_grpc_port": 2,
        "weaviate_api_key": "k",
        "vectorizer_url": "http://v:3",
    }
    help_text = CliRunner().invoke(command, ["--help"]).output
    assert all(name in help_text for name in env)
