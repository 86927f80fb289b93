import stat
from dataclasses import replace
from pathlib import Path

import pytest

from clip_vectorizer.errors import StackError
from ingest.demo.places import Endpoints
from ingest.demo.state import DaemonFiles, DaemonState, find_running, list_daemon_files, read_state, write_state
from ingest.embedded.files import hold_lock

STARTING = DaemonState(4711, "emoji")
READY = DaemonState(4711, "emoji", Endpoints("http://127.0.0.1:1", 2, "secret", "http://127.0.0.1:3"))
WITH_PAGE = replace(READY, gallery_url="http://127.0.0.1:8091/", gallery_errors=("no",))


@pytest.fixture
def where(tmp_path: Path) -> DaemonFiles:
    found = list_daemon_files({"XDG_CACHE_HOME": str(tmp_path)})
    found.state.parent.mkdir(parents=True)
    return found


@pytest.mark.parametrize("state", [STARTING, READY, WITH_PAGE])
def test_a_state_is_true_while_its_lock_is_held(where: DaemonFiles, state: DaemonState) -> None:
    with hold_lock(where.lock, 0):
        write_state(where.state, state)
        assert find_running(where) == state


@pytest.mark.parametrize("content", ["{", "[]", '{"pid": 1}', '{"pid": 1, "model": "emoji", "endpoints": {"x": 1}}'])
def test_a_damaged_state_of_a_running_stack_names_the_file_and_the_way_out(where: DaemonFiles, content: str) -> None:
    with hold_lock(where.lock, 0):
        where.state.write_text(content)
        with pytest.raises(StackError, match=r"background\.json is damaged .* end it with `pkill"):
            find_running(where)


def test_the_state_of_a_dead_stack_is_removed(where: DaemonFiles) -> None:
    write_state(where.state, READY)
    assert find_running(where) is None
    assert not where.state.exists()


def test_only_the_user_can_read_the_key(where: DaemonFiles) -> None:
    write_state(where.state, STARTING)
    where.state.chmod(0o644)
    write_state(where.state, READY)
    assert stat.S_IMODE(where.state.stat().st_mode) == 0o600


def test_the_state_of_an_older_stack_has_no_page(tmp_path: Path) -> None:
    (file := tmp_path / "background.json").write_text('{"pid": 7, "model": "emoji", "endpoints": null}')
    assert read_state(file) == DaemonState(7, "emoji")
