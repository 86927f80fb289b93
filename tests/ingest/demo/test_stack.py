"""clip-demo as a person uses it: real processes, a few images, a cache of its own."""

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clip_vectorizer.defaults import IMAGE_COLLECTION
from ingest.demo.show import CLASSIFIED_IMAGES, QUERY_IMAGE
from ingest.embedded import find_weaviate
from tests.stack.processes import alive, descendants, eventually
from tests.stack.support import BIN, EXAMPLES, OURS, Ran

pytestmark = pytest.mark.stack

LIMIT_SECONDS = 300


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A cache with the server in it and nothing else, and no settings of the developer's."""
    root = tmp_path_factory.mktemp("cache")
    server = find_weaviate()
    (root / "bin").mkdir()
    (root / "bin" / "weaviate").symlink_to(server)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**clean, "XDG_CACHE_HOME": str(root), "PATH": f"{root / 'bin'}:{BIN}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for key in (QUERY_IMAGE, *CLASSIFIED_IMAGES):
        for name in (Path(key), Path(key).with_suffix(".txt")):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(EXAMPLES / name, folder / name)
    return folder


@pytest.fixture(scope="module", autouse=True)
def nothing_left(env: dict[str, str]) -> Iterator[None]:
    yield
    demo(env, "down")


def demo(env: dict[str, str], *arguments: str | Path) -> Ran:
    done = subprocess.run(
        [BIN / "clip-demo", *arguments], env=env, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_the_show_runs_through_and_a_second_one_uploads_nothing(env: dict[str, str], images: Path) -> None:
    first = demo(env, "--images", images)
    assert first.exit_code == 0, first.stderr
    for part in (
        "9 added",
        "search by text",
        "Chinese",
        "something to drink",
        "by image file",
        "nearText",
        "zero-shot classification, 8 labels",
        "classification by kind, 8 labels",
        "grounding: ",
        "The picture with these boxes:",
        'eval "$(clip-demo up)"',
    ):
        assert part in first.stdout
    assert f"1.000       {QUERY_IMAGE}" in first.stdout  # the image finds itself
    assert max(len(line) for line in first.stdout.splitlines() if not line.startswith(("$", " "))) <= 80
    second = demo(env, "--images", images)
    assert second.exit_code == 0, second.stderr
    assert "0 added, 0 updated, 9 unchanged" in second.stdout


def test_up_prints_shell_lines_that_the_other_commands_understand_until_down(env: dict[str, str], images: Path) -> None:
    up = demo(env, "up")
    assert up.exit_code == 0, up.stderr
    assert [line.split("=")[0] for line in up.stdout.splitlines()] == [
        f"export {name}" for name in ("WEAVIATE_URL", "WEAVIATE_GRPC_PORT", "WEAVIATE_API_KEY", "VECTORIZER_URL")
    ]
    state = Path(env["XDG_CACHE_HOME"]) / "clip-vectorizer" / "background.json"
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    script = f'eval "$(clip-demo up)" && clip-ingest "$0" --collection {IMAGE_COLLECTION} && clip-search cat --json'
    searched = subprocess.run(["sh", "-c", script, images], env=env, capture_output=True, text=True, check=False)
    assert searched.returncode == 0, searched.stderr
    assert searched.stdout.count('"path"') == 9
    assert demo(env, "up").stdout == up.stdout
    other = demo(env, "up", "--model", "ViT-B-32::random")
    assert (other.exit_code, other.stdout) == (1, "")
    assert "the model emoji is in the background; `clip-demo down` ends it" in other.stderr
    down = demo(env, "down")
    assert (down.exit_code, down.stderr) == (0, "the stack with the model emoji is down\n")
    assert not state.exists()


def test_down_without_a_stack_in_the_background_prints_that(env: dict[str, str]) -> None:
    demo(env, "down")
    again = demo(env, "down")
    assert (again.exit_code, again.stdout, again.stderr) == (0, "", "no stack is in the background\n")


def test_a_missing_model_is_an_error_with_the_sidecars_message(env: dict[str, str]) -> None:
    up = demo(env, "up", "--model", "local-dir:/nowhere")
    assert up.exit_code == 1
    assert "/nowhere" in up.stderr
    assert "Traceback" not in up.stderr


def test_weaviate_prints_the_path_of_the_server(env: dict[str, str]) -> None:
    output = demo(env, "weaviate")
    assert output.exit_code == 0
    assert os.access(output.stdout.removesuffix("\n"), os.X_OK)


def test_ctrl_c_stops_every_child(env: dict[str, str], images: Path) -> None:
    log = next((Path(env["XDG_CACHE_HOME"]) / "clip-vectorizer" / "stacks").glob("emoji-*")) / "weaviate.log"
    log.unlink()
    show = subprocess.Popen([BIN / "clip-demo", "--images", images], env=env, stderr=subprocess.PIPE, text=True)
    assert eventually(log.exists, LIMIT_SECONDS)
    children = descendants(show.pid)
    assert len(children) >= 2
    show.send_signal(signal.SIGINT)
    _, output = show.communicate(timeout=LIMIT_SECONDS)
    assert show.returncode == 130
    assert output.endswith("interrupted\n")
    assert eventually(lambda: not alive(children))
