"""The wheel carries its types: programs are checked against it by `mypy --strict`, as an installed package."""

import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
UV = Path(sysconfig.get_path("scripts")) / "uv"
CORRECT = """
import asyncio
from collections.abc import Callable

import numpy as np
from weaviate.classes.config import ConsistencyLevel
from weaviate.classes.query import Filter

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.query import (
    PROMPTS, AsyncImageSearch, Classification, Group, Hit, ImageSearch, Move, Query, StoredImage, few_shot,
)
from ingest.job import run_job

run: Callable[..., str] = run_job
templates: tuple[str, ...] = PROMPTS["photo-7"]


def search() -> None:
    with ImageSearch.connect("http://localhost:8080", consistency_level=ConsistencyLevel.QUORUM) as images:
        what = Query.text("horse") + Query.text("stripes") - 0.5 * Query.image("fruit.png")
        hits: list[Hit] = images.find(
            what, limit=5, filters=Filter.by_property("label").equal("animals"), deduplicate=True, alpha=0.5,
            return_properties=["size"], include_vector=True, move_to=Move("the sea", 0.5),
        )
        near: list[Hit] = images.by_vector(np.ones(512), limit=3)
        groups: list[Group] = images.groups("an animal", by="label")
        first: StoredImage = next(images.iterate(filters="label=fruit"))
        results: list[Classification] = list(images.classify(hits, ["cat", "dog"], threshold=0.2, boost=few_shot()))
        print(len(near), groups[0].hits[0].similarity, first.path, results[0].label)


async def search_async() -> None:
    async with await AsyncImageSearch.connect(vectorizer_url="http://localhost:9090", collection="Image") as images:
        hits: list[Hit] = await images.find("owl", limit=3)
        async for image in images.iterate(include_vector=True):
            print(hits, image.vector)


def embed() -> tuple[int, ...]:
    with VectorizerClient("http://localhost:9090") as client:
        return client.embed_texts(["a red apple"]).shape


asyncio.run(search_async())
"""
WRONG = """
from clip_vectorizer.query import ImageSearch

search = ImageSearch.connect("http://localhost:8080", 50051)  # call-arg
search.find(5)  # arg-type
search.find("owl", limit="ten")  # arg-type
search.find("owl", where="label=birds")  # call-arg
search.everything()  # attr-defined
name: int = search.find("owl")[0].path  # assignment
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment that has the wheel, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [UV, "build", "--wheel", "--offline", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*build, "--out-dir", folder, REPOSITORY], check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    [packages] = (folder / "venv").glob("lib/python*/site-packages")
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # the .pth files there are not read again
    return folder / "venv" / "bin" / "python"


def test_a_users_programs_are_checked_by_the_types_of_the_wheel(python: Path, tmp_path: Path) -> None:
    (tmp_path / "correct.py").write_text(CORRECT)
    (tmp_path / "wrong.py").write_text(WRONG)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "correct.py", "wrong.py"]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    found = set(re.findall(r"^(\w+\.py):(\d+): error: .*\[([\w-]+)\]$", checked.stdout, re.MULTILINE))
    expected = {
        ("wrong.py", str(number), line.partition("  # ")[2])
        for number, line in enumerate(WRONG.splitlines(), 1)
        if "  # " in line
    }
    assert found == expected, checked.stdout + checked.stderr


def test_a_wheel_has_the_marker_in_both_packages(python: Path) -> None:
    [packages] = python.parent.parent.glob("lib/python*/site-packages")
    assert (packages / "clip_vectorizer" / "py.typed").is_file() and (packages / "ingest" / "py.typed").is_file()
