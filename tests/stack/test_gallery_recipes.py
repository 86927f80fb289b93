"""The documented ways of starting the search page: each line starts one, and it shows the examples."""

import os
import shlex
import signal
import subprocess

import httpx
import pytest

from tests.documents import page
from tests.stack.support import BIN, REPOSITORY, Stack, clean_environment

pytestmark = pytest.mark.stack

PAGES = [page("docs/gallery.md"), page("README.md")]
STARTED = list(dict.fromkeys(line for each in PAGES for line in each.commands("clip-gallery")))
BACKGROUND = 'eval "$(clip-demo up --gallery)"'  # run by tests/stack/test_demo.py
COMMANDS = [*STARTED, BACKGROUND]


def test_the_page_has_all_the_recipes() -> None:
    assert len(STARTED) >= 4 and BACKGROUND in page("docs/gallery.md").commands("clip-demo")


@pytest.mark.parametrize("line", STARTED)
def test_a_documented_line_starts_a_page_that_shows_the_examples(line: str, stack: Stack, examples: str) -> None:
    before, _, options = line.partition("clip-gallery")
    own = dict(word.split("=", 1) for word in shlex.split(before))
    words = shlex.split(options)
    env = clean_environment() | stack.env | own | {"BROWSER": "true", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    with subprocess.Popen(
        [BIN / "python", "-P", "-m", "clip_vectorizer.gallery", *words, "--collection", examples, "--port", "0"],
        env=env, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            port = httpx.URL(process.stdout.readline().strip()).port
            password = own.get("CLIP_GALLERY_PASSWORD")
            auth = ("me", password) if password else None
            shown = httpx.get(f"http://127.0.0.1:{port}/", params={"q": "a red apple"}, auth=auth, trust_env=False)
            assert shown.status_code == 200 and "fruit/red-apple.png" in shown.text
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()
