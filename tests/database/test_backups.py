"""The backup modules of a Weaviate: which one is used, and the sentences about names and refusals."""

from types import SimpleNamespace

import httpx
import pytest
from weaviate.exceptions import UnexpectedStatusCodeError

from clip_vectorizer.database.backups import (
    StoredBackup,
    check_backup_name,
    explain,
    format_names,
    open_module,
    read_reason,
    suggest_name,
)
from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.errors import InputError, VectorizerError

HERE = ConnectionSettings("http://w:1")


def server(*modules: str) -> SimpleNamespace:
    return SimpleNamespace(get_meta=lambda: {"modules": {name: {} for name in (*modules, "multi2vec-clip")}})


def stored(name: str) -> StoredBackup:
    return StoredBackup(name, ("Image",), "SUCCESS", None, 7)


def test_the_backend_is_the_one_that_weaviate_has() -> None:
    assert open_module(server("backup-s3"), HERE, None).backend == "s3"
    assert open_module(server("backup-s3", "backup-filesystem"), HERE, "s3").backend == "s3"


def test_of_several_backends_one_must_be_named() -> None:
    with pytest.raises(InputError, match="modules of filesystem and s3; add --backend filesystem"):
        open_module(server("backup-s3", "backup-filesystem"), HERE, None)


@pytest.mark.parametrize(
    ("modules", "backend", "sentence"),
    [
        ((), None, "without the module backup-filesystem; .*BACKUP_FILESYSTEM_PATH=/backups"),
        ((), "gcs", "ENABLE_MODULES=multi2vec-clip,backup-gcs and the settings of its bucket"),
        (("backup-filesystem",), "s3", "backup-s3; .*or add --backend filesystem, which it has"),
    ],
)
def test_a_missing_module_is_named_with_its_settings(modules: tuple[str, ...], backend: str, sentence: str) -> None:
    with pytest.raises(VectorizerError, match=sentence):
        open_module(server(*modules), HERE, backend)


@pytest.mark.parametrize(("name", "instead"), [("Monday", "monday"), ("a b/c", "a-b-c"), ("../x", "x"), ("", "monday")])
def test_a_name_that_weaviate_rejects_is_refused_with_one_that_it_accepts(name: str, instead: str) -> None:
    assert suggest_name(name) == instead
    with pytest.raises(InputError, match=f"for example {instead}$"):
        check_backup_name(name)
    check_backup_name(instead)


def test_an_unknown_name_is_answered_with_those_that_there_are() -> None:
    names = [stored(f"backup-{number}") for number in range(10)]
    assert format_names("bakcup-3", names).startswith("did you mean backup-3? there are backup-0, ")
    assert format_names("x", names).endswith("backup-7 and 2 older ones")
    assert "there is none" in format_names("x", [])


def test_weaviates_sentence_is_taken_out_of_its_response() -> None:
    assert read_reason(SimpleNamespace(error={"error": [{"message": "class X is gone"}]})) == "class X is gone"


def test_another_response_is_shown_whole() -> None:
    error = UnexpectedStatusCodeError("restore", httpx.Response(502, text="bad gateway"))
    assert "502" in read_reason(error)


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("write x: no space left on device", "free some space"),
        ("mkdir /backups/x: permission denied", "must be able to write to its backup folder"),
        ("local filesystem backend is not viable for backing up a node cluster, try s3", "add --backend s3"),
        ("backup x already in progress", "try again"),
    ],
)
def test_a_reason_comes_with_a_remedy(reason: str, remedy: str) -> None:
    assert explain(f"{reason}.\n").startswith(f"{reason}; ") and remedy in explain(reason)
    assert explain("something else") == "something else"
