"""`make sbom`: the packages of the locked environment as CycloneDX. It installs tools, so it is a slow test."""

import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.stack.support import BIN, REPOSITORY

pytestmark = pytest.mark.containers

# The environment of this run is the one to describe; `-o` keeps make from building another.
COMMAND = ["make", "-o", "setup", "sbom", f"BIN={BIN}"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("sbom") / "sbom.json"
    subprocess.run([*COMMAND, f"SBOM={file}"], cwd=REPOSITORY, check=True, capture_output=True, timeout=900)
    return file.read_text()


@pytest.fixture(scope="module")
def components(written: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(written)["components"]}


def test_it_is_cyclonedx_of_this_project(written: str) -> None:
    bill = json.loads(written)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    described = bill["metadata"]["component"]
    assert (described["name"], described["version"]) == ("clip-vectorizer", version("clip-vectorizer"))


@pytest.mark.parametrize("name", ["torch", "weaviate-client", "httpx", "starlette"])
def test_packages_are_listed_with_their_versions(components: dict[str, dict[str, Any]], name: str) -> None:
    found = components[name]
    assert found["version"] == version(name) and found["purl"] == f"pkg:pypi/{name}@{version(name)}"


def test_licences_are_listed_where_packages_declare_them(components: dict[str, dict[str, Any]]) -> None:
    assert "Apache-2.0" in str(components["torch"]["licenses"])
    assert sum("licenses" in each for each in components.values()) > 0.8 * len(components)


def test_every_version_is_the_one_that_is_pinned(components: dict[str, dict[str, Any]]) -> None:
    pins = dict(line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if "==" in line)
    listed = {normalize(name): each["version"] for name, each in components.items()}
    pinned = {name: listed[name] for name in pins if name in listed and name != "pip"}  # the pip of python -m venv
    assert len(pinned) > 100 and pinned == {name: pins[name] for name in pinned}


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_it_names_no_path_and_no_user_of_this_machine(written: str) -> None:
    places = {str(REPOSITORY), str(Path.home()), str(BIN)} - {"/"}
    assert "file:" not in written and not [place for place in places if place in written]
