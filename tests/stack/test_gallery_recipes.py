"""The documented ways of starting the search page: each line starts one, and it shows the examples."""

import os
import shlex
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from clip_vectorizer.query.saved_searches import SavedSearch, SavedSearches, find_searches_file
from tests.documents import page
from tests.stack.support import BIN, REPOSITORY, Stack, clean_environment, run_command

pytestmark = pytest.mark.stack

PAGES = [page("docs/gallery.md"), page("README.md")]
STARTED = list(dict.fromkeys(line for each in PAGES for line in each.commands("clip-gallery")))
BACKGROUND = 'eval "$(clip-demo up --gallery)"'  # run by tests/stack/test_demo.py
SAVED = 'clip-search --saved "red fruit" --json'  # of a search that was saved in the page
COMMANDS = [*STARTED, BACKGROUND, SAVED]


def test_the_page_has_all_the_recipes() -> None:
    assert len(STARTED) >= 4 and BACKGROUND in page("docs/gallery.md").commands("clip-demo")


@pytest.mark.parametrize("line", STARTED)
def test_a_documented_line_starts_a_page_that_shows_the_examples(line: str, stack: Stack, examples: str) -> None:
    before, _, options = line.partition("clip-gallery")
    own = dict(word.split("=", 1) for word in shlex.split(before))
    words = shlex.split(options)
    env = clean_environment() | stack.env | own | {"BROWSER": "true", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    with subprocess.Popen(
        [BIN / "python", "-P", "-m", "clip_vectorizer.gallery", "--collection", examples, *words, "--port", "0"],
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


def test_a_saved_search_is_printed_in_a_shell(stack: Stack, examples: str, tmp_path: Path) -> None:
    """From the file that the page and the command both take where none is named."""
    assert SAVED in page("docs/gallery.md").commands("clip-search")
    file = find_searches_file({"XDG_DATA_HOME": str(tmp_path)})
    SavedSearches(file).add(SavedSearch("red fruit", f"collection={examples}&q=a+red+fruit&where=label%3Dfruit"))
    ran = run_command(*shlex.split(SAVED), env=stack.env | {"XDG_DATA_HOME": str(tmp_path)}, expect=0)
    assert len(ran.rows) > 5 and {row["label"] for row in ran.rows} == {"fruit"}
