"""Runs the gallery: one socket, one process, until a signal ends it."""

import errno
import ipaddress
import logging
import os
import socket
import threading
import webbrowser
from collections.abc import Mapping
from typing import Any

import click

from clip_vectorizer.errors import SettingsError
from clip_vectorizer.ingest_state import find_state_folder
from clip_vectorizer.query.display.tables import prepare_streams

MAX_HEAD_BYTES = 2**20  # of a request: 10,000 Chinese letters are 90,000 bytes, and the page explains what is too long
EXTRA = "pip install 'clip-vectorizer[gallery]'"


def run(values: Mapping[str, Any]) -> None:
    """Serve until SIGINT or SIGTERM. Raises SettingsError for options that leave the page open to strangers."""
    prepare_streams()
    check_password(values["host"], values["password"], values["no_password"])
    try:
        import uvicorn

        from clip_vectorizer.gallery.app import build_app
        from clip_vectorizer.gallery.connection import GalleryConnection
        from clip_vectorizer.gallery.pages import Gallery
        from clip_vectorizer.gallery.shutdown import run_until_signal
        from clip_vectorizer.query.cli.saved import open_saved
    except ModuleNotFoundError as error:
        raise SettingsError(f"the gallery needs {error.name}; run `{EXTRA}`") from error
    app = build_app(
        Gallery(
            GalleryConnection(values),
            values["root"],
            values["write"],
            ingests=find_state_folder(os.environ),
            searches=open_saved(values["searches_file"]),
        ),
        list_names(values),
        values["password"],
        not is_local(values["host"]),
    )
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, proxy_headers=False, http="h11",
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
    )  # fmt: skip
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    with open_socket(values["host"], values["port"]) as listener:
        url = format_url(values["host"], listener.getsockname()[1])
        click.echo(url)
        click.echo("Ctrl-C ends it", err=True)
        if values["opens"]:
            threading.Thread(target=open_browser, args=(url,), daemon=True).start()
        run_until_signal(config, listener)


def check_password(host: str, password: str | None, no_password: bool) -> None:
    """Raises SettingsError for a page that strangers reach, and for a password that would not count."""
    if no_password and password:
        raise SettingsError("--no-password does not work with a password (CLIP_GALLERY_PASSWORD); remove one of them")
    if no_password and is_local(host):
        raise SettingsError(f"--no-password has no effect on --host {host}, which needs none; remove it")
    if not is_local(host) and not password and not no_password:
        raise SettingsError(
            f"--host {host}: everyone on the network could see the images; set a password (CLIP_GALLERY_PASSWORD), "
            "or remove --host"
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
    """Return a socket that listens. Raises SettingsError for an address that cannot be had."""
    opened = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen()  # now: a browser that comes before the server waits for it
    except OSError as error:
        if opened is not None:
            opened.close()
        raise SettingsError(explain_address(host, port, error)) from error
    return opened


def explain_address(host: str, port: int, error: OSError) -> str:
    """Return the sentence for an address that cannot be had."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} is in use, perhaps by another gallery; choose another one (--port), or any free one: --port 0"
        )
    if error.errno == errno.EACCES:
        return f"port {port} is for the administrator alone; choose one above 1023 (--port)"
    return f"--host {host}: {error.strerror or error}; choose an address of this machine, such as 127.0.0.1"


def open_browser(url: str) -> None:
    """Open the page; a machine without a browser gets a sentence, and the page is there."""
    if not webbrowser.open(url):
        click.echo(f"found no browser to open; open {url} in one", err=True)


def format_url(host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name if is_local(host) else socket.gethostname()}:{port}/"
