"""The compose files as compose reads them: every service is hardened, and a GPU is reserved where it is wanted."""

import pytest

from clip_vectorizer.gallery.cli import main as gallery_command
from tests.containers.engine import COMPOSE, Compose

pytestmark = pytest.mark.containers

KEYS, GPU, S3 = (COMPOSE.with_name(f"compose.{name}.yaml") for name in ("keys", "gpu", "s3"))


@pytest.mark.parametrize(
    "files", [(COMPOSE,), (COMPOSE, KEYS), (COMPOSE, GPU), (COMPOSE, GPU, KEYS), (COMPOSE, KEYS, S3)]
)
def test_every_service_is_hardened(files: tuple[object, ...]) -> None:
    services = Compose(files, {"KEYS": "/keys", "BACKUP_S3_BUCKET": "mine"}).config()["services"]  # type: ignore[arg-type]
    names = {"vectorizer", "weaviate", "ingest", "search", "classify", "gallery", "prometheus", "grafana"}
    assert services.keys() == names
    for name, service in services.items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"] and service["tmpfs"][0] == "/tmp", name
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", ())), name


def test_the_images_are_mounted_read_only() -> None:
    services = Compose().config()["services"]
    for name in ("ingest", "search", "classify", "gallery"):
        [mount] = [each for each in services[name]["volumes"] if each["target"] == "/images"]
        assert mount["read_only"], name


def test_the_page_has_no_password_only_where_its_port_is_of_this_machine_alone() -> None:
    gallery = Compose().config()["services"]["gallery"]
    assert gallery["command"] == ["--no-password"] and "CLIP_GALLERY_PASSWORD_FILE" not in gallery["environment"]
    [port] = gallery["ports"]
    assert (port["host_ip"], port["target"]) == ("127.0.0.1", 8091)
    gallery = Compose((COMPOSE, KEYS), {"KEYS": "/keys"}).config()["services"]["gallery"]
    assert gallery["command"] == [] and "--no-password" not in gallery["entrypoint"]
    assert gallery["environment"]["CLIP_GALLERY_PASSWORD_FILE"] == "/run/secrets/gallery_password"
    assert "gallery_password" in [secret["source"] for secret in gallery["secrets"]]


def test_the_options_of_the_page_are_those_of_the_command() -> None:
    for files in ((COMPOSE,), (COMPOSE, KEYS)):
        service = Compose(files, {"KEYS": "/keys"}).config()["services"]["gallery"]
        program, *words = [*service["entrypoint"], *service["command"]]
        values = gallery_command.make_context(program, [word.replace("/images", "/") for word in words]).params
        assert (values["host"], values["no_password"]) == ("0.0.0.0", files == (COMPOSE,))
        assert f"'127.0.0.1', {values['port']}" in service["healthcheck"]["test"][-1]


def test_a_gpu_is_reserved_for_the_sidecar_alone() -> None:
    services = Compose((COMPOSE, GPU), {"GPUS": "2"}).config()["services"]
    [device] = services["vectorizer"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", 2, ["gpu"])
    assert services["vectorizer"]["build"]["args"]["GPU"] == "true"
    assert services["vectorizer"]["environment"]["CLIP_DEVICE"] == "cuda:all"
    assert [name for name, service in services.items() if "reservations" in str(service)] == ["vectorizer"]


def test_no_variable_is_needed() -> None:
    """A stack of defaults: what is not set in the environment has a value in the file."""
    services = Compose().config()["services"]
    assert services["vectorizer"]["environment"] == {"CLIP_MODEL": None, "CLIP_LISTEN_WHEN_READY": "true"}
    assert services["weaviate"]["environment"]["AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED"] == "true"


def test_backups_are_in_a_volume_of_their_own_or_in_a_bucket() -> None:
    weaviate = Compose().config()["services"]["weaviate"]
    assert {each["target"]: each["source"] for each in weaviate["volumes"]}["/backups"] == "backups"
    weaviate = Compose((COMPOSE, S3), {"BACKUP_S3_BUCKET": "mine"}).config()["services"]["weaviate"]
    assert weaviate["environment"]["ENABLE_MODULES"] == "multi2vec-clip,backup-s3"
    unnamed = Compose((COMPOSE, S3))("config", expect=None)
    assert unnamed.exit_code != 0 and "BACKUP_S3_BUCKET" in unnamed.stderr
