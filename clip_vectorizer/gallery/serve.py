"""Runs the gallery: one socket, one process, until a signal ends it."""

import ipaddress
import logging
import socket
import webbrowser
from collections.abc import Mapping
from typing import Any

import click

from clip_vectorizer.errors import SettingsError
from clip_vectorizer.query.display.tables import prepare_streams

GRACE_SECONDS = 2  # for requests that run when the gallery ends
MAX_HEAD_BYTES = 2**20  # of a request: 10,000 Chinese letters are 90,000 bytes, and the page explains what is too long


def run(values: Mapping[str, Any]) -> None:
    """Serve until SIGINT or SIGTERM. Raises SettingsError for options that leave the page open to strangers."""
    prepare_streams()
    check_password(values["host"], values["password"])
    try:
        import uvicorn

        from clip_vectorizer.gallery.app import build_app
        from clip_vectorizer.gallery.connection import GalleryConnection
        from clip_vectorizer.gallery.pages import Gallery
    except ModuleNotFoundError as error:
        raise SettingsError(f"the gallery needs {error.name}; run `pip install 'clip-vectorizer[gallery]'`") from error
    opened = open_socket(values["host"], values["port"])
    url = format_url(values["host"], opened.getsockname()[1])
    app = build_app(
        Gallery(GalleryConnection(values), values["root"], values["write"]),
        list_names(values),
        values["password"],
        not is_local(values["host"]),
    )
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=GRACE_SECONDS,
        proxy_headers=False, http="h11", h11_max_incomplete_event_size=MAX_HEAD_BYTES,
    )  # fmt: skip
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    click.echo(url)
    click.echo("Ctrl-C ends it", err=True)
    if values["opens"]:
        webbrowser.open(url)
    uvicorn.Server(config).run(sockets=[opened])


def check_password(host: str, password: str | None) -> None:
    if not is_local(host) and not password:
        raise SettingsError(
            f"--host {host}: everybody on the network could see the images; set a password "
            "(CLIP_GALLERY_PASSWORD), or remove --host"
        )


def is_local(host: str) -> bool:
    """Whether only this machine reaches an address.

    >>> is_local("127.0.0.1"), is_local("::1"), is_local("localhost"), is_local("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def list_names(values: Mapping[str, Any]) -> list[str]:
    """The names by which the page may be opened: those of the options, and the address that it listens on."""
    own = [] if is_local(values["host"]) else [socket.gethostname()]
    return [*values["allowed_hosts"], values["host"], *own]


def open_socket(host: str, port: int) -> socket.socket:
    """Raises SettingsError for an address that cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen()  # before the address is printed: who opens it at once waits, and is not refused
    except OSError as error:
        raise SettingsError(
            f"--host {host} --port {port}: {error.strerror or error}; choose another, or --port 0"
        ) from error
    return opened


def format_url(host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name if is_local(host) else socket.gethostname()}:{port}/"
