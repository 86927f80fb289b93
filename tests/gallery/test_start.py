"""How clip-gallery starts and ends: real processes, with no Weaviate behind them."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from clip_vectorizer.errors import SettingsError
from clip_vectorizer.gallery.cli import main as gallery_command
from clip_vectorizer.gallery.serve import check_password, open_socket
from tests.listening import list_open_ports
from tests.stack.support import clean_environment

COMMAND = (sys.executable, "-P", "-m", "clip_vectorizer.gallery")
NOWHERE = {"WEAVIATE_URL": "http://127.0.0.1:1", "VECTORIZER_URL": "http://127.0.0.1:2"}
HIDE_JINJA = "import sys; sys.modules['jinja2'] = None; from clip_vectorizer.gallery.cli import main; main()"
LIMIT_SECONDS = 60


@contextmanager
def started(*words: str, **env: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *words],
        env=clean_environment() | NOWHERE | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_url(process: "subprocess.Popen[str]") -> str:
    """The address that it printed, once it serves."""
    assert process.stdout
    url = process.stdout.readline().strip()
    assert httpx.get(f"{url}static/icon.svg", trust_env=False).status_code == 200
    return url


def connect(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0))


def test_a_signal_ends_it_within_two_seconds_with_a_request_half_sent_and_a_page_that_waits_for_weaviate() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        away = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with started(WEAVIATE_URL=away) as process:
            url = read_url(process)
            with connect(url) as waiting, connect(url) as half:
                waiting.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                half.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
                connection, _ = silent.accept()
                with closing(connection):
                    process.send_signal(signal.SIGINT)
                    _, errors = process.communicate(timeout=2 + 2)  # two for the machine
    assert (process.returncode, errors) == (0, "Ctrl-C ends it\n")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Running"]:
    """Two at the same time, as a start takes seconds: one with a browser to open, one without."""
    folder = tmp_path_factory.mktemp("browser")
    browser, opened = folder / "browser", folder / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.new && mv {opened}.new {opened}\n')
    browser.chmod(0o755)
    nothing = {"BROWSER": os.devnull, "PATH": str(folder), "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    with started("--open", BROWSER=f"{browser} %s") as opening, started("--open", **nothing) as alone:
        yield Running(opening, read_url(opening), opened, alone, read_url(alone))


@dataclass(frozen=True, slots=True)
class Running:
    opening: "subprocess.Popen[str]"
    url: str
    opened: Path  # a file with the address that its browser was opened with
    alone: "subprocess.Popen[str]"
    alone_url: str


def test_weaviate_away_at_the_start_is_a_sentence_in_the_page(running: Running) -> None:
    page = httpx.get(running.url, trust_env=False, timeout=LIMIT_SECONDS)
    ready = httpx.get(f"{running.url}ready", trust_env=False, timeout=LIMIT_SECONDS)
    assert not list_open_ports(running.opening.pid), "only this machine reaches it"
    assert page.status_code == ready.status_code == 503
    assert "http://127.0.0.1:1" in page.text and "Traceback" not in page.text


def test_open_starts_the_browser_with_the_address(running: Running) -> None:
    assert any(running.opened.exists() or running.opening.poll() for _ in poll())
    assert running.opened.read_text() == f"{running.url}\n"


def test_open_without_a_browser_prints_the_address_and_the_other_signal_ends_it_as_well(running: Running) -> None:
    """SIGTERM, with a request that is half sent."""
    with connect(running.alone_url) as half:
        half.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        running.alone.send_signal(signal.SIGTERM)
        _, errors = running.alone.communicate(timeout=2 + 2)
    sentence = f"found no browser to open; open {running.alone_url} in one"
    assert sentence in errors and "Ctrl-C ends it\n" in errors and running.alone.returncode == 0


def test_a_port_in_use_is_a_sentence_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = CliRunner().invoke(gallery_command, ["--port", str(port)], env=NOWHERE)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"error: port {port} is in use, perhaps by another gallery; choose another one (--port), or any free one: "
        "--port 0\n"
    )


def test_an_address_of_another_machine_is_a_sentence() -> None:
    with pytest.raises(SettingsError, match=r"--host 203\.0\.113\.9: .*choose an address of this machine"):
        open_socket("203.0.113.9", 0)
    with pytest.raises(SettingsError, match=r"--host no\.such\.host\.invalid: .*choose an address"):
        open_socket("no.such.host.invalid", 0)


def test_without_the_extra_a_sentence_has_the_line_that_installs_it() -> None:
    ended = subprocess.run(
        [sys.executable, "-P", "-c", HIDE_JINJA, "--port", "0"],
        env=clean_environment() | NOWHERE,
        capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode != 0 and "Traceback" not in ended.stderr
    assert "the gallery needs jinja2; run `pip install 'clip-vectorizer[gallery]'`" in ended.stderr


def test_a_folder_that_is_missing_is_refused_by_its_name() -> None:
    ended = CliRunner().invoke(gallery_command, ["--root", "/no/such/folder"], env=NOWHERE)
    assert ended.exit_code == 2 and "/no/such/folder" in ended.stderr


def poll() -> Iterator[None]:
    for _ in range(200):
        yield
        time.sleep(0.05)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "photos.example"])
def test_a_page_for_the_network_needs_a_password_or_the_word_that_it_needs_none(host: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(f"--host {host}: everyone on the network could see the images")):
        check_password(host, None, no_password=False)
    check_password(host, "secret", no_password=False)
    check_password(host, None, no_password=True)
    with pytest.raises(SettingsError, match="--no-password does not work with a password"):
        check_password(host, "secret", no_password=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_page_for_this_machine_needs_none(host: str) -> None:
    check_password(host, None, no_password=False)


def test_no_password_where_none_is_needed_is_refused() -> None:
    with pytest.raises(SettingsError, match="--no-password has no effect on --host 127"):
        check_password("127.0.0.1", None, no_password=True)
