"""One corpus for all of these tests, made by the command of docs/drawings.md."""

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples.drawings.make_corpus import CorpusPage, read_corpus
from tests.documents import REPOSITORY, page

[COMMAND] = page("docs/drawings.md").section("Corpus").commands("python")
SECONDS = 300  # some 6 on a free core


@dataclass(frozen=True, slots=True)
class MadeCorpus:
    folder: Path
    lines: list[CorpusPage]
    output: str
    messages: str


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> MadeCorpus:
    folder = tmp_path_factory.mktemp("drawings") / "corpus"
    own = {"python": sys.executable, "corpus": str(folder)}
    words = [own.get(word, word) for word in shlex.split(COMMAND)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    ran = subprocess.run(words, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert ran.returncode == 0, ran.stderr
    return MadeCorpus(folder, read_corpus(folder), ran.stdout, ran.stderr)
