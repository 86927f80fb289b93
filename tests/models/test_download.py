"""`clip-vectorizer models download`: from a hub on this machine to a folder that is served."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.model import CLIP
from PIL import Image
from safetensors.torch import save
from tokenizers import Tokenizer, models

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models import openclip
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.download import (
    DownloadPlan,
    download_model,
    fetch_model,
    plan_download,
    plan_tag,
    read_address_hash,
)
from clip_vectorizer.models.download_display import DownloadDisplay
from clip_vectorizer.models.hub_files import Hub
from tests.documents import REPOSITORY
from tests.models.hub_server import TOKEN, FakeHub, running_hub
from tests.models.small import CONFIG, CPU, TEXTS, apart, random_clip, reference_texts

ARCHITECTURE, TAG = "small-download", "test"
WEIGHTS, PICKLED, CONFIG_FILE = "open_clip_model.safetensors", "open_clip_pytorch_model.bin", "open_clip_config.json"
ENTRY: dict[str, Any] = {
    "hf_hub": "org/weights/",
    "mean": (0.5, 0.4, 0.3),
    "std": (0.2, 0.3, 0.4),
    "interpolation": "bilinear",
    "resize_mode": "squash",
    "quick_gelu": True,
}
SECONDS = 60


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with running_hub() as running:
        yield running


@pytest.fixture(scope="module")
def model() -> CLIP:
    return random_clip(quick_gelu=True)


@pytest.fixture(scope="module", autouse=True)
def architecture(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("architecture") / f"{ARCHITECTURE}.json"
    file.write_text(json.dumps(CONFIG))
    open_clip.add_model_config(file)


def safetensors_of(model: CLIP) -> bytes:
    return save({name: value.contiguous() for name, value in model.state_dict().items()})


class Silent:
    """Collects the names of the files that are complete."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def progress(self, name: str, done: int, total: int | None) -> None: ...

    def fetched(self, file: Path) -> None:
        self.names.append(file.name)


def download(name: str, folder: Path, hub: FakeHub) -> list[str]:
    report = Silent()
    download_model(name, folder, report, Hub(hub.url, str(folder.parent / "store")))
    return report.names


def fetch(plan: DownloadPlan, folder: Path, url: str) -> list[str]:
    folder.mkdir()
    return [file.name for file in fetch_model(plan, folder, Silent(), Hub(url, str(folder.parent / "store")))]


def texts_of(name: str) -> np.ndarray:
    encoder = load_encoder(ModelName(name), CPU)
    return encoder.encode_texts([encoder.prepare_text(text) for text in TEXTS])


def test_a_folder_is_the_model_of_the_table(hub: FakeHub, model: CLIP, tmp_path: Path) -> None:
    """Weights, activation and preprocessing, which a file of weights does not contain."""
    hub.add("org/weights", WEIGHTS, safetensors_of(model))
    folder = tmp_path / "model"
    assert fetch(plan_tag(ARCHITECTURE, TAG, ENTRY), folder, hub.url) == [WEIGHTS, CONFIG_FILE]
    ours = load_encoder(ModelName(f"local-dir:{folder}"), CPU)
    theirs = openclip.load_entry("x", ARCHITECTURE, ENTRY, str(folder / WEIGHTS), CPU)
    assert ours.info.revision == theirs.info.revision
    assert ours.info.preprocessing == theirs.info.preprocessing
    items = [ours.prepare_text(text) for text in TEXTS]
    assert apart(ours.encode_texts(items), theirs.encode_texts(items)) < 1e-6
    assert apart(ours.encode_texts(items), reference_texts(random_clip())) > 1e-4  # of the other activation
    image = Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 50, 3), dtype=np.uint8))
    rows = [each.encode_images([each.prepare_image(image)]) for each in (ours, theirs)]
    assert apart(*rows) < 1e-6


def test_safetensors_are_taken_before_a_pickle(hub: FakeHub, model: CLIP, tmp_path: Path) -> None:
    hub.add("org/weights", PICKLED, b"a pickle")
    hub.add("org/weights", WEIGHTS, safetensors_of(model))
    assert fetch(plan_tag(ARCHITECTURE, TAG, ENTRY), tmp_path / "a", hub.url) == [WEIGHTS, CONFIG_FILE]
    hub.add("org/other", "pytorch_model.bin", pickled(model))
    entry = {**ENTRY, "hf_hub": "org/other/pytorch_model.bin"}
    assert fetch(plan_tag(ARCHITECTURE, TAG, entry), tmp_path / "b", hub.url) == ["pytorch_model.bin", CONFIG_FILE]
    assert apart(texts_of(f"local-dir:{tmp_path / 'b'}"), texts_of(f"local-dir:{tmp_path / 'a'}")) < 1e-6


def pickled(model: CLIP) -> bytes:
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    return buffer.getvalue()


def tokenizer_files() -> dict[str, bytes]:
    words = {"<unk>": 0, "<pad>": 1, "a": 2, "cat": 3}
    text = Tokenizer(models.WordLevel(words, unk_token="<unk>")).to_str()
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "unk_token": "<unk>"}
    return {"tokenizer.json": text.encode(), "tokenizer_config.json": json.dumps(settings).encode()}


def test_a_tokenizer_of_another_repository_comes_along(hub: FakeHub, model: CLIP, tmp_path: Path) -> None:
    config = {**CONFIG, "text_cfg": {**CONFIG["text_cfg"], "hf_tokenizer_name": "org/words", "pool_type": "last"}}
    hub.add("org/weights", CONFIG_FILE, json.dumps({"model_cfg": config, "preprocess_cfg": {}}).encode())
    hub.add("org/weights", WEIGHTS, safetensors_of(model))
    for name, content in tokenizer_files().items():
        hub.add("org/words", name, content)
    hub.add("org/words", "README.md", b"words")
    names = download("hf-hub:org/weights", tmp_path / "model", hub)
    assert sorted(names) == sorted([*tokenizer_files(), WEIGHTS, CONFIG_FILE])
    encoder = load_encoder(ModelName(f"local-dir:{tmp_path / 'model'}"), CPU)
    assert encoder.prepare_text("cat").full_length == 1


def test_a_repository_without_a_tokenizer_is_refused_where_one_is_needed(
    hub: FakeHub, model: CLIP, tmp_path: Path
) -> None:
    config = {**CONFIG, "text_cfg": {**CONFIG["text_cfg"], "hf_tokenizer_name": "org/words"}}
    hub.add("org/weights", CONFIG_FILE, json.dumps({"model_cfg": config}).encode())
    hub.add("org/words", "README.md", b"words")
    with pytest.raises(ModelUnavailable, match="org/words has no tokenizer"):
        download("hf-hub:org/weights", tmp_path / "model", hub)


def test_a_text_tower_of_transformers_gets_its_configuration(hub: FakeHub, model: CLIP, tmp_path: Path) -> None:
    text = {"hf_model_name": "org/tower", "hf_tokenizer_name": "org/words"}
    hub.add("org/weights", CONFIG_FILE, json.dumps({"model_cfg": {**CONFIG, "text_cfg": text}}).encode())
    hub.add("org/weights", WEIGHTS, safetensors_of(model))
    hub.add("org/tower", "config.json", b'{"model_type": "xlm-roberta"}')
    for name, content in {**tokenizer_files(), "config.json": b'{"model_type": "another"}'}.items():
        hub.add("org/words", name, content)
    assert "config.json" in download("hf-hub:org/weights", tmp_path / "model", hub)
    assert json.loads((tmp_path / "model" / "config.json").read_text())["model_type"] == "xlm-roberta"


def test_transformers_layout_is_kept(hub: FakeHub, tmp_path: Path) -> None:
    files = {"config.json": b'{"model_type": "clip"}', "preprocessor_config.json": b"{}", **tokenizer_files()}
    for name, content in {
        **files,
        "model.safetensors": save({"a": torch.zeros(1)}),
        "flax_model.msgpack": b"x",
    }.items():
        hub.add("org/clip", name, content)
    names = download("hf-hub:org/clip", tmp_path / "model", hub)
    assert sorted(names) == sorted([*files, "model.safetensors"])
    assert names[-1] == "config.json"


def test_weights_in_several_files_come_with_their_index(hub: FakeHub, tmp_path: Path) -> None:
    parts = [f"model-0000{part}-of-00002.safetensors" for part in (1, 2)]
    for part in parts:
        hub.add("org/clip", part, save({part: torch.zeros(1)}))
    index = {"weight_map": {"a": parts[0], "b": parts[1], "c": parts[0]}}
    hub.add("org/clip", "model.safetensors.index.json", json.dumps(index).encode())
    hub.add("org/clip", "config.json", b"{}")
    assert download("hf-hub:org/clip", tmp_path / "model", hub)[:3] == [*parts, "model.safetensors.index.json"]
    hub.add("org/clip", "model.safetensors.index.json", b'{"weight_map": {"a": "../../outside.bin"}}')
    with pytest.raises(ModelUnavailable, match="names a file outside of its folder"):
        download("hf-hub:org/clip", tmp_path / "other", hub)


def test_a_repository_without_a_model_is_named(hub: FakeHub, tmp_path: Path) -> None:
    hub.add("org/data", "README.md", b"rows")
    with pytest.raises(ModelUnavailable, match=f"it has neither {CONFIG_FILE} nor config.json"):
        download("hf-hub:org/data", tmp_path / "model", hub)
    hub.add("org/data", "config.json", b"{}")
    with pytest.raises(ModelUnavailable, match=r"org/data has no model\.safetensors or"):
        download("hf-hub:org/data", tmp_path / "model", hub)
    hub.add("org/data", CONFIG_FILE, b'{"model_cfg": 3}')
    with pytest.raises(ModelUnavailable, match=f"{CONFIG_FILE} of org/data is not open_clip's"):
        download("hf-hub:org/data", tmp_path / "model", hub)


def test_a_page_in_the_place_of_weights_is_named(hub: FakeHub, tmp_path: Path) -> None:
    hub.add("org/weights", WEIGHTS, b"<!DOCTYPE html><html>Sign in</html>")
    with pytest.raises(ModelUnavailable, match=f"{WEIGHTS} is an HTML page"):
        fetch(plan_tag(ARCHITECTURE, TAG, ENTRY), tmp_path / "model", hub.url)


def test_a_folder_of_another_model_is_left_alone(hub: FakeHub, model: CLIP, tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text("{}")
    hub.add("org/weights", CONFIG_FILE, json.dumps({"model_cfg": CONFIG}).encode())
    with pytest.raises(ModelUnavailable, match=f"{tmp_path} has another model already; name a folder of its own"):
        download("hf-hub:org/weights", tmp_path, hub)
    assert [each.name for each in tmp_path.iterdir()] == [CONFIG_FILE]
    plans = [plan_tag(ARCHITECTURE, tag, ENTRY) for tag in ("one", "two")]
    assert plans[0].config != plans[1].config  # two models of one architecture differ in nothing else


def test_a_file_in_the_place_of_the_folder_is_named(hub: FakeHub, tmp_path: Path) -> None:
    hub.add("org/weights", CONFIG_FILE, json.dumps({"model_cfg": CONFIG}).encode())
    (tmp_path / "file").touch()
    with pytest.raises(ModelUnavailable, match=f"{tmp_path / 'file'} cannot be written: File exists"):
        download("hf-hub:org/weights", tmp_path / "file", hub)


def test_openais_address_is_used_where_the_hub_does_not_answer(hub: FakeHub, model: CLIP, tmp_path: Path) -> None:
    """OpenAI published programs; their hash is in the address, and the folder gets their tensors."""
    program = program_of(model, tmp_path)
    sha256 = hashlib.sha256(program).hexdigest()
    hub.add("clip", "ViT.pt", program)
    address = f"{hub.url}/storage/openaipublic/{sha256}/ViT.pt"
    plan = plan_tag(ARCHITECTURE, TAG, {**ENTRY, "url": address})
    assert fetch(plan, tmp_path / "a", "http://127.0.0.1:9") == [WEIGHTS, CONFIG_FILE]
    assert sorted(each.name for each in (tmp_path / "a").iterdir()) == [CONFIG_FILE, WEIGHTS]
    assert apart(texts_of(f"local-dir:{tmp_path / 'a'}"), reference_texts(model)) < 1e-6
    hub.changed = True
    with pytest.raises(ModelUnavailable, match=r"127.0.0.1:9 cannot be reached .*; and ViT.pt is not what was publ"):
        fetch(plan, tmp_path / "b", "http://127.0.0.1:9")


def program_of(model: CLIP, folder: Path) -> bytes:
    trace: Any = torch.jit.trace_module  # untyped
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trace(model, {"encode_text": torch.zeros(1, 77, dtype=torch.long)}).save(str(folder / "program.pt"))
    return (folder / "program.pt").read_bytes()


def test_the_addresses_of_the_table_contain_their_hash() -> None:
    addresses = [
        open_clip.get_pretrained_cfg(*pair).get("url", "") for pair in open_clip.list_pretrained() if "/" not in pair[0]
    ]
    hashes = [read_address_hash(address) for address in addresses if address]
    assert len(hashes) > 20
    for found in hashes:
        assert found is None or (found.kind == "sha256" and set(found.value) <= set("0123456789abcdef"))
    assert sum(found is not None and len(found.value) == 64 for found in hashes) >= 9


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("emoji", "emoji needs no download: it is part of this package"),
        ("ViT-B-32::random", "needs no download"),
        ("local-dir:/models/x", "is not a model of a hub; name open_clip's ARCHITECTURE::TAG, or hf-hub:ORG/NAME"),
        ("ViT-B-32::opnai", "did you mean ViT-B-32::openai"),
        ("ViT-B-32", "no model is called 'ViT-B-32'"),
        ("org/name", "a repository on the hub is hf-hub:org/name"),
    ],
)
def test_what_cannot_be_downloaded_is_answered_with_what_can(name: str, sentence: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        plan_download(name, Hub("http://127.0.0.1:9"))
    assert sentence in str(caught.value)


def test_every_model_of_the_table_has_a_plan() -> None:
    for architecture, tag in open_clip.list_pretrained():
        plan = plan_download(f"{architecture}::{tag}", Hub("http://127.0.0.1:9"))
        assert plan.repository.count("/") == 1 and plan.weights[0].endswith(".safetensors")
        assert json.loads(plan.config)["source"] == f"{architecture}::{tag}"
    openai = plan_download("ViT-L/14@336px", Hub("http://127.0.0.1:9"))
    assert json.loads(openai.config)["model_cfg"]["quick_gelu"] is True


# The command as a user runs it


def run_download(hub: FakeHub, folder: Path, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(folder, *words), env=environment(hub, folder, **env), text=True, capture_output=True)


def command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "clip_vectorizer", "models", "download", *words, "--to", str(folder)]


def environment(hub: FakeHub, folder: Path, **env: str) -> dict[str, str]:
    store = {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder.parent / "home"), "PYTHONPATH": str(REPOSITORY)}
    return {**os.environ, **store, **env}


def serve_small(hub: FakeHub, model: CLIP) -> None:
    hub.add("org/weights", CONFIG_FILE, json.dumps({"model_cfg": CONFIG, "preprocess_cfg": {}}).encode())
    hub.add("org/weights", WEIGHTS, safetensors_of(model))


def test_the_command_prints_the_name_to_serve(hub: FakeHub, model: CLIP, tmp_path: Path) -> None:
    serve_small(hub, model)
    hub.gated.add("org/weights")
    folder = tmp_path / "model"
    refused = run_download(hub, folder, "hf-hub:org/weights")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: org/weights is open only to accounts that accepted its conditions")
    done = run_download(hub, folder, "hf-hub:org/weights", HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"local-dir:{folder}\n"
    assert f"{WEIGHTS}: 7 MB\n" in done.stderr
    assert texts_of(done.stdout.strip()).shape == (len(TEXTS), CONFIG["embed_dim"])


def test_offline_takes_what_the_hubs_store_has(hub: FakeHub, model: CLIP, tmp_path: Path) -> None:
    serve_small(hub, model)
    refused = run_download(hub, tmp_path / "model", "hf-hub:org/weights", HF_HUB_OFFLINE="1")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: HF_HUB_OFFLINE is set, and ")
    assert not hub.requests
    fill_store(hub, tmp_path)
    hub.requests.clear()
    done = run_download(hub, tmp_path / "model", "hf-hub:org/weights", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert not hub.requests
    online = run_download(hub, tmp_path / "again", "hf-hub:org/weights")
    assert online.returncode == 0 and not hub.fetched()  # the store has the hub's version
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == safetensors_of(model)


def fill_store(hub: FakeHub, folder: Path) -> None:
    """By the hub's own client."""
    program = "from huggingface_hub import hf_hub_download as fetch\n" + "".join(
        f"fetch('org/weights', {name!r})\n" for name in (CONFIG_FILE, WEIGHTS)
    )
    subprocess.run([sys.executable, "-c", program], env=environment(hub, folder / "model"), check=True)


def test_a_killed_run_goes_on(hub: FakeHub, model: CLIP, tmp_path: Path) -> None:
    serve_small(hub, model)
    hub.stalls = [3_000_000]
    folder = tmp_path / "model"
    with subprocess.Popen(command(folder, "hf-hub:org/weights"), env=environment(hub, folder)) as running:
        wait_for(lambda: sum(each.stat().st_size for each in folder.glob(".*.part")) == 3_000_000)
        running.send_signal(signal.SIGKILL)
    assert not (folder / CONFIG_FILE).exists() and not (folder / WEIGHTS).exists()
    hub.requests.clear()
    assert run_download(hub, folder, "hf-hub:org/weights").returncode == 0
    assert [each.range for each in hub.fetched()] == ["bytes=3000000-"]
    assert (folder / WEIGHTS).read_bytes() == safetensors_of(model)


def wait_for(condition: Any) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_display_has_a_line_for_each_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(bytes(2_000_000))
    with DownloadDisplay() as display:
        for done in (1_000_000, 2_000_000):
            display.progress(file.name, done, 2_000_000)
        display.fetched(file)
    assert capsys.readouterr().err == "fetching weights.bin\nweights.bin: 2 MB\n"
