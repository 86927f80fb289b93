"""clip-demo as a person uses it: the background stack, the show on top of it, and Ctrl-C."""

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from ingest.demo.state import list_daemon_files, read_state
from ingest.embedded import find_weaviate
from tests.listening import list_open_ports
from tests.stack.processes import eventually, listening
from tests.stack.support import BIN, EXAMPLES, Ran, Stack, clean_environment, run_command

pytestmark = pytest.mark.stack

NAMES = ["WEAVIATE_URL", "WEAVIATE_GRPC_PORT", "WEAVIATE_API_KEY", "VECTORIZER_URL"]
FRUIT = EXAMPLES / "fruit"
Demo = Callable[..., Ran]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A cache of its own, so that a stack of the person at this machine is left alone; Weaviate is on the PATH."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "weaviate").symlink_to(find_weaviate())
    return {"XDG_CACHE_HOME": str(folder / "cache"), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def demo(home: dict[str, str]) -> Iterator[Demo]:
    """Runs clip-demo in that home; nothing of it runs afterwards."""
    yield lambda *words: run_command("clip-demo", *words, env=home, expect=0)
    run_command("clip-demo", "down", env=home)


def exported(lines: str) -> dict[str, str]:
    """What a shell would take from the output; any other line is an error."""
    words = [shlex.split(line) for line in lines.splitlines()]
    assert all(len(line) == 2 and line[0] == "export" for line in words), lines
    return dict(line[1].split("=", 1) for line in words)


def test_up_prints_where_the_stack_is_and_down_ends_it(demo: Demo, home: dict[str, str]) -> None:
    first = demo("up")
    values = exported(first.stdout)
    assert list(values) == NAMES
    urls = [values["WEAVIATE_URL"], values["VECTORIZER_URL"]]
    assert all(listening(url) for url in urls)
    assert len(reachable := list_open_ports(find_daemon(home))) == 2 and int(values["WEAVIATE_GRPC_PORT"]) in reachable
    assert demo("up").stdout == first.stdout

    shown, again = (demo("--images", FRUIT) for _ in range(2))
    names = {file.name for file in FRUIT.glob("*.png")}
    assert f"{len(names)} images: {len(names)} added" in join_output(shown)
    assert f"0 added, 0 updated, {len(names)} unchanged" in join_output(again)
    assert "nearText" in shown.stdout
    assert "clip-ground examples/images/fruit/" in join_output(shown)
    with Image.open(Path(home["XDG_CACHE_HOME"]) / "clip-vectorizer" / "demo" / "grounding.png") as drawn:
        assert drawn.format == "PNG" and max(drawn.size) >= 640
    assert len({name for name in names if name in shown.stdout}) >= 3  # what the searches found

    stack = Stack(values["WEAVIATE_URL"], int(values["WEAVIATE_GRPC_PORT"]), None, values["VECTORIZER_URL"])
    assert stack.weaviate("GET", "/v1/schema").status_code == 401  # gRPC cannot be bound to loopback: hence the key

    demo("down")
    assert not any(listening(url) for url in urls)
    assert demo("down").stdout == ""


def test_up_gallery_adds_a_page_to_a_running_stack_and_down_ends_both(demo: Demo, home: dict[str, str]) -> None:
    first = demo("up")
    second = demo("up", "--gallery")
    url = exported(second.stdout)["CLIP_GALLERY_URL"]
    assert second.stdout == f"{first.stdout}export CLIP_GALLERY_URL={url}\n"
    assert url.startswith("http://127.0.0.1:") and f"search page: {url}" in second.stderr
    run_command("clip-ingest", FRUIT, env=home | exported(first.stdout), expect=0)
    assert "red-apple.png" in httpx.get(url, params={"q": "a red apple"}, trust_env=False).text
    assert demo("up", "--gallery").stdout == second.stdout
    demo("down")
    assert not listening(url)


def find_daemon(home: dict[str, str]) -> int:
    """The process whose children are Weaviate and the sidecar."""
    state = read_state(list_daemon_files(home).state)
    assert state
    return state.pid


def join_output(ran: Ran) -> str:
    """All output, without the line breaks."""
    return " ".join((ran.stdout + ran.stderr).split())


def test_ctrl_c_ends_the_show_and_everything_it_started(home: dict[str, str]) -> None:
    command = [BIN / "clip-demo", "--images", EXAMPLES]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=clean_environment() | home, start_new_session=True, **pipes) as show:
        try:
            urls = [word.strip(",\n") for word in show.stdout.readline().split() if word.startswith("http")]
            assert len(urls) == 2
            os.killpg(show.pid, signal.SIGINT)  # what a terminal does: to the show and to its children alike
            _, talk = show.communicate(timeout=60)
        finally:
            show.kill()
    assert show.returncode == 130
    assert "Traceback" not in talk
    assert eventually(lambda: not any(listening(url) for url in urls))


def test_weaviate_prints_the_path_of_a_server_and_nothing_else(demo: Demo) -> None:
    [path] = demo("weaviate").stdout.splitlines()
    assert os.access(path, os.X_OK)
    assert Path(path).is_absolute()
