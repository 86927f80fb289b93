"""The search page beside a stack: a real process, on endpoints where nothing listens."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from clip_vectorizer.errors import StackError
from clip_vectorizer.gallery.cli import PORT
from clip_vectorizer.progress import SILENT
from ingest.demo.background import start_gallery
from ingest.demo.gallery import LOOPBACK, USUAL_PORT, GalleryRequest, LocalGallery, choose_port, update_gallery
from ingest.demo.places import Endpoints
from ingest.demo.state import DaemonState, list_daemon_files, write_state
from ingest.embedded.files import hold_lock

AWAY = Endpoints("http://127.0.0.1:1", 2, "secret", "http://127.0.0.1:3")
STATE = DaemonState(4711, "emoji", AWAY)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[LocalGallery]:
    local = LocalGallery(AWAY, tmp_path / "gallery.log")
    yield local
    local.stop()


def test_a_request_starts_the_page_once_and_the_state_has_its_address(page: LocalGallery) -> None:
    assert update_gallery(STATE, page, is_wanted=False) == STATE
    state = update_gallery(STATE, page, is_wanted=True)
    shown = httpx.get(state.gallery_url, trust_env=False)
    assert shown.status_code == 503 and "http://127.0.0.1:1" in shown.text, "the page has the sentence about its stack"
    assert update_gallery(state, page, is_wanted=True) == state
    page.stop()
    assert update_gallery(state, page, is_wanted=False).gallery_url == ""


def test_a_page_that_does_not_start_is_an_error_of_the_state(tmp_path: Path) -> None:
    broken = LocalGallery(
        AWAY, tmp_path / "gallery.log", os.environ | {"CLIP_GALLERY_PASSWORD_FILE": "/nowhere/password"}
    )
    state = update_gallery(STATE, broken, is_wanted=True)
    assert state.gallery_url == "" and not broken.is_running
    [error] = state.gallery_errors
    assert error.startswith("the search page ended with exit code") and "/nowhere/password" in error
    assert len(update_gallery(state, broken, is_wanted=True).gallery_errors) == 2


def test_the_page_takes_a_free_port_where_its_usual_one_is_taken() -> None:
    assert USUAL_PORT == PORT
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind((LOOPBACK, USUAL_PORT))
            other.listen()
        except OSError:  # another program of this machine has it: as good
            pass
        assert choose_port() not in (0, USUAL_PORT)


def test_a_request_is_taken_once() -> None:
    request = GalleryRequest()
    request.make()
    assert [request.take(), request.take()] == [True, False]


def test_a_page_without_a_stack_names_the_command_that_starts_one(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="start one with `clip-demo up`"):
        start_gallery(SILENT, {"XDG_CACHE_HOME": str(tmp_path)})


def test_another_process_with_the_number_of_the_daemon_gets_no_signal(tmp_path: Path) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    files = list_daemon_files(env)
    with hold_lock(files.lock, 0):
        write_state(files.state, replace(STATE, pid=1))
        with pytest.raises(StackError, match=r"process 1 in .* is not a stack of clip-demo"):
            start_gallery(SILENT, env)
