"""The notebooks run from their first cell to their last, and what they show holds."""

import json
import subprocess
import sys
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.stack.support import REPOSITORY, Stack, clean_environment

pytestmark = pytest.mark.stack

FOLDER = REPOSITORY / "examples"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MADE = {  # the collections
    "search.ipynb": ["NotebookSearch"],
    "zero_shot.ipynb": ["NotebookImages"],
    "grounding.ipynb": ["NotebookScenes", "NotebookScenesRegion"],
    "drawings.ipynb": ["NotebookPages", "NotebookPagesRegion"],
}
MOST_BYTES = 320_000


def test_there_are_notebooks_of_search_zero_shot_grounding_and_drawings() -> None:
    assert {file.name for file in NOTEBOOKS} == MADE.keys()


@pytest.fixture(scope="module")
def executed(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run a notebook with one more cell before its last, which closes the connection; return what it prints.

    `changes`: parts of its cells that are written otherwise, each of which it must have.
    """

    def executed(name: str, expression: str, changes: Mapping[str, str] | None = None) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp("notebooks")
        notebook = nbformat.read(FOLDER / name, as_version=4)
        for old, new in (changes or {}).items():
            [cell] = [cell for cell in notebook.cells if old in cell.source]
            cell.source = cell.source.replace(old, new)
        notebook.cells.insert(-1, nbformat.v4.new_code_cell(f"import json\nprint(json.dumps({expression}))"))
        nbformat.write(notebook, folder / name)
        run(folder / name, stack)
        printed = nbformat.read(folder / name, as_version=4).cells[-2]
        return dict(json.loads(printed.outputs[-1].text))

    yield executed
    for collection in chain.from_iterable(MADE.values()):
        stack.weaviate("DELETE", f"/v1/schema/{collection}").raise_for_status()


def run(file: Path, stack: Stack) -> None:
    """In a process of its own, as a person does; nbclient leaves sockets to the garbage collector."""
    command = [sys.executable, FOLDER / "run_notebooks.py", file]
    env = clean_environment() | stack.env
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.name)
def test_the_stored_notebook_was_executed_whole_and_contains_no_machine_paths(file: Path) -> None:
    stored = file.read_text(encoding="utf-8")
    cells = [cell for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run examples/run_notebooks.py"
    assert len(stored.encode()) <= MOST_BYTES
    assert not [word for word in ("Traceback", "/home/", "/root/", "/tmp/", "/work/", "C:\\") if word in stored]
    assert not [cell for cell in cells for output in cell.outputs if output.output_type == "error"]


def test_the_notebook_of_search_finds_what_its_text_claims(executed: Any) -> None:
    """Sums of words find the green apple, Chinese what English finds, groups and filters what they promise."""
    held = executed(
        "search.ipynb",
        """{
            "red": images.find("a red apple", limit=1)[0].path,
            "green": images.find(Query.parse("apple + green - red"), limit=1)[0].path,
            "chinese": images.find(chinese[0], limit=1)[0].path,
            "groups": [group.name for group in groups],
        }""",
    )
    assert (held["red"], held["green"]) == ("fruit/red-apple.png", "fruit/green-apple.png")
    assert held["chinese"] == held["red"]
    assert held["groups"][0] == "fruit" and len(set(held["groups"])) == 4


def test_the_notebook_of_grounding_holds_its_claims(executed: Any) -> None:
    """What is in the scene is found, what is not is named, and regions find scenes that whole pictures do not."""
    held = executed(
        "grounding.ipynb",
        """{
            "spans": [sentence[slice(*phrase.span)] for phrase in phrases],
            "shape": s_pn.shape,
            "regions": len(boxes_n4),
            "missing": [[phrase.text for phrase in found.missing] for found in (result, stored)],
            "overlaps": list(overlaps.values()),
            "right": list(right.values()),
        }""",
    )
    assert held["spans"] == ["soccer ball", "red apple", "panda"]
    assert held["shape"] == [3, held["regions"]]
    assert held["missing"] == [["panda"], ["panda"]]
    assert len(held["overlaps"]) == 2 and min(held["overlaps"]) >= 0.5
    whole, regions = held["right"]
    assert regions >= 3 * whole


def test_the_notebook_of_zero_shot_holds_its_claims(executed: Any) -> None:
    """Descriptions separate labels that bare words do not, and a few labelled images add what no prompt does."""
    held = executed(
        "zero_shot.ipynb",
        """{
            "right": right,
            "drawings": len(words),
            "shots": [hits(plain), hits(helped), total],
            "others": [sum(none for known, none in rest if known is wanted) for wanted in (True, False)],
            "of": [sum(known is wanted for known, _ in rest) for wanted in (True, False)],
        }""",
    )
    bare, described = held["right"]["the bare word"], held["right"]["descriptions x 7 templates"]
    assert described >= bare + held["drawings"] / 10
    assert held["right"]["each meaning a label"] >= described
    plain, helped, total = held["shots"]
    assert helped >= plain + total / 20
    known_lost, others_found = (found / of for found, of in zip(held["others"], held["of"], strict=True))
    assert others_found - known_lost > 0.2


def test_the_notebook_of_drawings_holds_its_claims(executed: Any) -> None:
    """Corners and rules find title blocks that whole pages do not, and both vectors are searched.

    Of the training, its end is enough: no claim here is about how much was learned.
    """
    held = executed(
        "drawings.ipynb",
        """{
            "asked": len(asked),
            "blocks": list(blocks.values()),
            "found": [query_name in {hit.path for hit in hits} or len(hits) for hits in (alike, same, learned)],
            "vectors": [hit.path for hit in alike] != [hit.path for hit in learned],
            "encoders": sorted({encoder for _, encoder, looking in figures if looking == "padded page"}),
        }""",
        {'"--steps", "12", "--batch", "32"': '"--steps", "1", "--batch", "32"'},
    )
    whole, corner = held["blocks"]
    assert held["asked"] >= 10 and corner >= whole + held["asked"] / 4
    assert held["found"] == [5, 5, 5] and held["vectors"]
    assert held["encoders"] == ["emoji", "pages-model", "pixels", "random-model"]
