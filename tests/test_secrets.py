"""No key, password or signature is in what a command prints: each command is given all of them, and fails."""

import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from clip_vectorizer.errors import SettingsError
from clip_vectorizer.query.cli.classify import main as classify
from clip_vectorizer.query.cli.ground import main as ground
from clip_vectorizer.query.cli.search import main as search
from clip_vectorizer.query.image_inputs import embed_images, hide_secrets
from clip_vectorizer.wire import read_address
from ingest.cli import main as ingest
from tests.http_server import LOOPBACK
from tests.query.fakes import FakeSidecar

MAINS = {"clip-ingest": ingest, "clip-search": search, "clip-classify": classify, "clip-ground": ground}
SECRET = "geheim"
NOWHERE = "127.0.0.1:1"
SIGNED = f"http://me:{SECRET}@{NOWHERE}/x.png?id=3&X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}&token={SECRET}"
SECRETS = {
    "WEAVIATE_URL": f"http://{NOWHERE}",
    "WEAVIATE_API_KEY": SECRET,
    "VECTORIZER_URL": f"http://me:{SECRET}@{NOWHERE}",
    "VECTORIZER_API_KEY": SECRET,
    "CLIP_PDF_PASSWORD": SECRET,
    "AWS_SECRET_ACCESS_KEY": SECRET,
}
COMMANDS = {
    "an address that is refused": ["clip-ingest", SIGNED],
    "an address that does not answer": ["clip-ingest", SIGNED, "--allow-address", "all"],
    "a bucket that cannot be reached": [
        *("clip-ingest", f"ftp://me:{SECRET}@{NOWHERE}/x.png", "--allow-address", "all"),
        *("--storage", f"password={SECRET}"),
    ],
    "an ingest without a database": ["clip-ingest", "x.png", "--patience", "0"],
    "an ingest of two schemes": ["clip-ingest", f"s9://me:{SECRET}@bucket/x.png"],
    "a search by an address": ["clip-search", "--image", SIGNED],
    "an address of another scheme": ["clip-search", "--image", f"ftp://me:{SECRET}@{NOWHERE}/x.png"],
    "a classification of addresses": ["clip-classify", "--labels", "a,b", SIGNED],
    "grounding at an address": ["clip-ground", SIGNED, "a cat"],
    "grounding of a stored image": ["clip-ground", "--stored", SIGNED, "a cat"],
    "a wrong database": ["clip-search", "a", "--weaviate-url", f"http://me:{SECRET}@{NOWHERE}"],
    "a wrong sidecar": ["clip-search", "a", "--vectorizer-url", f"http://me:{SECRET}@host:port"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_command_that_fails_prints_no_secret(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.png").write_bytes(b"no image")
    name, *arguments = words
    ran = CliRunner(env=SECRETS).invoke(MAINS[name], arguments)
    assert ran.exit_code in (2, 4), ran.stderr
    assert ran.stderr and SECRET not in ran.stdout + ran.stderr


def test_an_image_at_an_address_is_named_without_its_secrets() -> None:
    [[embedded]] = embed_images([SIGNED], FakeSidecar(), LOOPBACK)
    assert embedded.path == f"http://{NOWHERE}/x.png?id=3" and "cannot be downloaded" in embedded.error
    assert SECRET not in embedded.error
    assert SECRET not in hide_secrets(f"http://me:{SECRET}@[::1/x.png")
    assert hide_secrets("a@b.png?token=1") == "a@b.png?token=1"


def test_the_logs_of_this_project_have_no_address_with_its_secrets(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="clip_vectorizer"):
        list(embed_images([SIGNED], FakeSidecar(), LOOPBACK))
    ours = [each.getMessage() for each in caplog.records if each.name.startswith(("clip_vectorizer", "ingest"))]
    assert not [line for line in ours if SECRET in line]


@pytest.mark.parametrize("url", [f"http://me:{SECRET}@host:port", f"ftp://me:{SECRET}@host", f"//me:{SECRET}@host"])
def test_an_address_of_a_sidecar_that_cannot_be_one_is_shown_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_address(url)
    assert SECRET not in str(refused.value) and "host" in str(refused.value)
