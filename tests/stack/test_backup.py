"""`clip-ingest backup` and `restore` as a user types them, and as docs/deploy.md has them."""

import re
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from clip_vectorizer.query.cli.classify import main as clip_classify
from clip_vectorizer.query.cli.search import main as clip_search
from ingest.cli import main as clip_ingest
from tests.documents import page
from tests.stack.conftest import fresh_collection
from tests.stack.support import EXAMPLES, Ran, Stack, run_inside

pytestmark = pytest.mark.stack

COMMANDS = page("docs/deploy.md").section("Back up").commands("clip-ingest")
MADE = re.compile(r"(\w+) \(20 objects\), ImageLabel .*, [\d.]+ [kM]B, in [\d.]+ s -> (\S+) \(filesystem\)\n")
RUNNING = ("STARTED", "TRANSFERRING", "TRANSFERRED", "FINALIZING")

Ingest = Callable[..., Ran]


@pytest.fixture(scope="module")
def ingest(stack: Stack) -> Ingest:
    return lambda *words, expect=0: run_inside(clip_ingest, stack.env, *words, expect=expect)


@pytest.fixture(scope="module")
def fruit(stack: Stack, ingest: Ingest) -> Iterator[str]:
    """A collection with 20 images, and a set of labels."""
    for name in fresh_collection(stack):
        ingest(EXAMPLES / "fruit", "--collection", name)
        labels = ("--labels", "apple,pear", "--label-set", "fruits", "--limit", "1")
        run_inside(clip_classify, stack.env, *labels, "--collection", name)
        yield name


def test_the_lines_of_the_page_back_up_list_and_restore(stack: Stack, ingest: Ingest, fruit: str) -> None:
    """Of one collection: those of other tests stay as they are."""
    suffix = f"-{uuid4().hex[:8]}"
    for line in COMMANDS:
        words = [word.replace("before-upgrade", f"before-upgrade{suffix}") for word in shlex.split(line)[1:]]
        words = [fruit if word == "Image" else word for word in words]
        if words[0] == "restore":
            stack.weaviate("DELETE", f"/v1/schema/{fruit}").raise_for_status()
        chosen = () if "--list" in words or "--collection" in words else ("--collection", fruit)
        assert f"before-upgrade{suffix}" in ingest(*words, *chosen).stdout, line
    found = run_inside(clip_search, stack.env, "an apple", "--collection", fruit, "--json", "--limit", "1").rows
    assert "apple" in found[0]["path"]


def insert_in_a_new_second(stack: Stack, name: str) -> None:
    """A collection and one object of it, made as early in a second as can be."""
    time.sleep(1.02 - time.time() % 1)
    vectors = {"clip": {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"}}
    stack.weaviate("POST", "/v1/schema", {"class": name, "vectorConfig": vectors}).raise_for_status()
    stack.weaviate("POST", "/v1/objects", {"class": name, "vectors": {"clip": [0.6, 0.8]}}).raise_for_status()


def test_a_backup_right_after_the_first_insert_has_the_vector_index(stack: Stack, ingest: Ingest) -> None:
    """Weaviate leaves it out of a backup that begins in the same second; `clip-ingest backup` waits that long."""
    for name in fresh_collection(stack):
        insert_in_a_new_second(stack, name)
        ingest("backup", name.lower(), "--collection", name)
        stack.weaviate("DELETE", f"/v1/schema/{name}").raise_for_status()
        assert f"{name} (1 object)" in ingest("restore", name.lower(), "--collection", name).stdout


def test_a_restore_without_the_vector_index_is_an_error(stack: Stack, ingest: Ingest) -> None:
    """Of a backup that another program started in the second of the first insert."""
    for name in fresh_collection(stack):
        insert_in_a_new_second(stack, name)
        wanted = {"id": name.lower(), "include": [name]}
        stack.weaviate("POST", "/v1/backups/filesystem", wanted).raise_for_status()
        path = f"/v1/backups/filesystem/{name.lower()}"
        while (status := stack.weaviate("GET", path).json()["status"]) != "SUCCESS":
            assert status in RUNNING
            time.sleep(0.2)
        stack.weaviate("DELETE", f"/v1/schema/{name}").raise_for_status()
        refused = ingest("restore", name.lower(), "--collection", name, expect=1).stderr
        assert f"{name} is restored, but its vector index clip is empty" in refused


def test_a_backup_without_a_name_gets_one(ingest: Ingest, fruit: str) -> None:
    made = ingest("backup", "--collection", fruit)
    found = MADE.fullmatch(made.stdout)
    assert found and found[1] == fruit and re.fullmatch(rf"{fruit.lower()}-\d{{8}}-\d{{6}}", found[2])
    assert made.stderr.startswith(f"backing up {fruit}, ImageLabel")
    head, *rows = ingest("backup", "--list").stdout.splitlines()
    assert head.split() == ["backup", "started", "status", "size", "collections"]
    assert rows[0].startswith(found[2]) and fruit in rows[0]  # the newest comes first
    refused = ingest("restore", found[2], expect=2).stderr
    assert f"the collection {fruit} exists, and a restore never writes over a collection" in refused


@pytest.mark.parametrize(
    ("words", "exit_code", "sentence"),
    [
        (("backup", "Monday"), 2, "'Monday' cannot name a backup; .* for example monday"),
        (("backup", "--collection", "Nothing"), 2, "holds no collection Nothing"),
        (("backup", "--backend", "azure"), 1, "ENABLE_MODULES=multi2vec-clip,backup-azure .*--backend filesystem"),
        (("backup", "--weaviate-api-key", "wrong", "--weaviate-url", "http://127.0.0.1:1"), 4, "no Weaviate answers"),
        (("restore", "never-made"), 2, "there is no backup never-made \\(filesystem\\); "),
        (("restore",), 2, "Missing argument 'NAME'"),
        (("--json", "backup"), 2, "backup: no such file or folder"),
    ],
)
def test_what_cannot_be_done_is_refused(ingest: Ingest, words: tuple[str, ...], exit_code: int, sentence: str) -> None:
    refused = ingest(*words, expect=exit_code)
    assert re.search(sentence, refused.stderr) and refused.stdout == ""


def test_a_folder_named_like_a_command_is_ingested_by_its_path(
    ingest: Ingest, fruit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "backup").symlink_to(EXAMPLES / "fruit")
    done = ingest("./backup", "--collection", fruit, "--take-over", "--json")
    assert sum(done.rows[0][each] for each in ("updated", "unchanged")) == 20
