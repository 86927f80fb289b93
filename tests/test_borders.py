"""Allowed imports: `query` and `ingest` reach a model by HTTP only, so a base install needs no torch."""

import subprocess
import sys

import pytest

READ_AND_WRITE = [
    "clip_vectorizer.query",
    "clip_vectorizer.query.cli.search",
    "clip_vectorizer.query.cli.classify",
    "ingest",
    "ingest.cli",
]
# What a clean process prints: every module of torch, of the sidecar, or of the models, except their contract.
LOADED = """
import importlib, sys
importlib.import_module({module!r})
banned = ("torch", "open_clip", "transformers", "clip_vectorizer.server", "clip_vectorizer.models")
allowed = ("clip_vectorizer.models", "clip_vectorizer.models.encoder")
inside = lambda name: any(name == each or name.startswith(each + ".") for each in banned)
print([name for name in sys.modules if inside(name) and name not in allowed])
"""


@pytest.mark.parametrize("module", READ_AND_WRITE)
def test_reading_and_writing_load_neither_torch_nor_the_sidecar(module: str) -> None:
    ran = subprocess.run([sys.executable, "-c", LOADED.format(module=module)], capture_output=True, text=True)
    assert (ran.stdout.strip(), ran.stderr, ran.returncode) == ("[]", "", 0)
