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
from pathlib import Path

import httpx
import pytest

from clip_vectorizer.errors import SettingsError
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


def run(*words: str, program: tuple[str, ...] = COMMAND, **env: str) -> "subprocess.CompletedProcess[str]":
    """A gallery that does not start."""
    return subprocess.run(
        [*program, *words],
        env=clean_environment() | NOWHERE | env,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_within_two_seconds_with_connections_open(sig: signal.Signals) -> None:
    with started() as process:
        url = read_url(process)
        with socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0)) as half:
            half.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            process.send_signal(sig)
            _, errors = process.communicate(timeout=2 + 2)  # two for the machine
        assert (process.returncode, errors) == (0, "Ctrl-C ends it\n")


def test_a_signal_ends_it_while_weaviate_leaves_a_page_waiting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        away = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with started(WEAVIATE_URL=away) as process:
            url = read_url(process)
            with socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0)) as waiting:
                waiting.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                connection, _ = silent.accept()
                with closing(connection):
                    process.send_signal(signal.SIGINT)
                    _, errors = process.communicate(timeout=2 + 2)
    assert (process.returncode, errors) == (0, "Ctrl-C ends it\n")


def test_weaviate_away_at_the_start_is_a_sentence_in_the_page() -> None:
    with started() as process:
        url = read_url(process)
        page = httpx.get(url, trust_env=False, timeout=LIMIT_SECONDS)
        ready = httpx.get(f"{url}ready", trust_env=False, timeout=LIMIT_SECONDS)
        assert not list_open_ports(process.pid), "only this machine reaches it"
    assert page.status_code == ready.status_code == 503
    assert "http://127.0.0.1:1" in page.text and "Traceback" not in page.text


def test_a_port_in_use_is_a_sentence_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = run("--port", str(port))
    assert (ended.returncode, ended.stdout) == (2, "")
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
    ended = run("--port", "0", program=(sys.executable, "-P", "-c", HIDE_JINJA))
    assert ended.returncode != 0 and "Traceback" not in ended.stderr
    assert "the gallery needs jinja2; run `pip install 'clip-vectorizer[gallery]'`" in ended.stderr


def test_a_folder_that_is_missing_is_refused_by_its_name() -> None:
    ended = run("--root", "/no/such/folder")
    assert ended.returncode == 2 and "/no/such/folder" in ended.stderr


def test_open_without_a_browser_prints_the_address(tmp_path: Path) -> None:
    with started("--open", BROWSER=os.devnull, PATH=str(tmp_path), DISPLAY="", WAYLAND_DISPLAY="") as process:
        url = read_url(process)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert f"found no browser to open; open {url} in one" in errors and process.returncode == 0


def test_open_starts_the_browser_with_the_address(tmp_path: Path) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.new && mv {opened}.new {opened}\n')
    browser.chmod(0o755)
    with started("--open", BROWSER=f"{browser} %s") as process:
        url = read_url(process)
        assert any(opened.exists() or process.poll() for _ in poll())
    assert opened.read_text() == f"{url}\n"


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
