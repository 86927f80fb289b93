"""Whole trainings of a CLIP in miniature, from a folder of colours to a model that the sidecar loads."""

import colorsys
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file

from clip_vectorizer.cli import main
from clip_vectorizer.errors import InputError, ModelUnavailable, TrainingDiverged
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.progress import SilentProgress
from clip_vectorizer.training.checkpoint import CHECKPOINT
from clip_vectorizer.training.contrastive_plan import ContrastivePlan
from clip_vectorizer.training.contrastive_run import BEST, train_contrastive
from clip_vectorizer.training.curves import CURVE, PLOT, CurveLine, read_curve
from clip_vectorizer.training.trainable import TrainableClip, TrainingMode, load_starting_point

HUES = ("red", "orange", "yellow", "green", "turquoise", "blue", "violet", "pink")
SHADES = {"dark": (1.0, 0.35), "deep": (1.0, 0.7), "bright": (1.0, 1.0), "pale": (0.35, 1.0)}  # saturation and value
WEIGHTS = "open_clip_model.safetensors"
KILL_SECONDS = 1200  # a busy machine imports torch for minutes

# Patch dropout draws random numbers in each step: a continued training must draw the same.
ARCHITECTURE: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


WholeRun = Callable[[int | None], ContrastivePlan]


class RecordedProgress(SilentProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


class Interruption(SilentProgress):
    """Ends the process's work in the middle, as a kill does: nothing is saved on the way out."""

    def __init__(self, step: int) -> None:
        self._words = f"step {step} of"

    def detail(self, words: str) -> None:
        if words.startswith(self._words):
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 pictures of one colour each, with a caption."""
    folder = tmp_path_factory.mktemp("colours")
    for turn, hue in enumerate(HUES):
        for shade, (saturation, value) in SHADES.items():
            rgb = colorsys.hsv_to_rgb(turn / len(HUES), saturation, value)
            colour = tuple(round(255 * part) for part in rgb)
            Image.new("RGB", (20, 20), colour).save(folder / f"{shade}-{hue}.png")
            (folder / f"{shade}-{hue}.txt").write_text(f"{shade} {hue}")
    return folder


def write_architecture(folder: Path, **vision: Any) -> str:
    folder.mkdir()
    config = {**ARCHITECTURE, "vision_cfg": {**ARCHITECTURE["vision_cfg"], **vision}}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    return f"local-dir:{folder}"


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a configuration and no weights."""
    return write_architecture(tmp_path_factory.mktemp("model") / "miniature", patch_dropout=0.25)


@pytest.fixture
def plan(tmp_path: Path, colours: Path, miniature: str) -> ContrastivePlan:
    return make_plan(colours, tmp_path / "out", miniature)


def make_plan(colours: Path, output: Path, model: str) -> ContrastivePlan:
    return ContrastivePlan(colours, output, model, epochs=3, batch=8, learning_rate=1e-3, checkpoint_steps=2)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory, colours: Path, miniature: str) -> WholeRun:
    """The training of `plan` with a chunk, from its start to its end; done once for each chunk."""

    @cache
    def run(chunk: int | None) -> ContrastivePlan:
        whole = make_plan(colours, tmp_path_factory.mktemp("whole") / "out", miniature)
        train_contrastive(replace(whole, chunk=chunk))
        return whole

    return run


def losses(folder: Path) -> list[CurveLine]:
    return [line for line in read_curve(folder / "training") if "loss" in line]


def recalls(folder: Path) -> list[CurveLine]:
    return [line for line in read_curve(folder / "training") if "image_to_text" in line]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, colours: Path) -> Path:
    """A training that has learned the colours by heart."""
    folder = tmp_path_factory.mktemp("trained")
    model = write_architecture(folder / "model")
    learned = ContrastivePlan(
        colours,
        folder / "out",
        model,
        epochs=40,
        batch=32,
        learning_rate=3e-3,
        validation=colours,
        patience=40,
        crop=1,
    )
    train_contrastive(learned)
    return folder / "out"


def test_a_miniature_learns_32_colours(trained: Path) -> None:
    best = max(recalls(trained), key=lambda line: line["image_to_text"][0] + line["text_to_image"][0])
    assert best["image_to_text"][0] > 0.9 and best["text_to_image"][0] > 0.9
    assert losses(trained)[-1]["loss"] < 0.5 < np.log(32) - 0.5 < losses(trained)[0]["loss"]


def test_the_sidecar_loads_what_was_trained_and_finds_the_colours(trained: Path, colours: Path) -> None:
    encoder = load_encoder(ModelName(f"local-dir:{trained}"), Placement())
    names = sorted(file.stem for file in colours.glob("*.png"))
    texts = encoder.encode_texts([encoder.prepare_text(name.replace("-", " ")) for name in names])
    images = encoder.encode_images([encoder.prepare_image(Image.open(colours / f"{name}.png")) for name in names])
    right = (texts @ images.T).argmax(axis=1) == np.arange(len(names))
    assert right.mean() > 0.9


def test_open_clip_loads_it_too(trained: Path) -> None:
    model = open_clip.create_model(f"local-dir:{trained}", require_pretrained=True)
    assert model.encode_text(open_clip.get_tokenizer(f"local-dir:{trained}")(["dark red"])).shape == (1, 32)


def test_a_finished_training_leaves_the_model_and_its_curves_only(trained: Path) -> None:
    files = sorted(file.relative_to(trained).as_posix() for file in trained.rglob("*") if file.is_file())
    assert files == ["open_clip_config.json", WEIGHTS, f"training/{CURVE}", f"training/{PLOT}"]
    with Image.open(trained / "training" / PLOT) as plot:
        assert plot.format == "PNG"
    assert [line["step"] for line in losses(trained)] == list(range(1, 41))
    rates = [line["learning_rate"] for line in losses(trained)]
    assert rates[3] == max(rates) == pytest.approx(3e-3) and rates[-1] < 1e-5


@pytest.mark.parametrize(("stop", "chunk"), [(1, None), (4, 3), (6, None), (8, 3)])
def test_a_continued_training_repeats_the_rest_bit_by_bit(
    plan: ContrastivePlan, whole_run: WholeRun, stop: int, chunk: int | None
) -> None:
    whole, stopped = whole_run(chunk), replace(plan, chunk=chunk)
    with pytest.raises(KeyboardInterrupt):
        train_contrastive(stopped, Interruption(stop))
    assert len(losses(stopped.output)) == stop and not (stopped.output / WEIGHTS).exists()
    train_contrastive(replace(stopped, resume=True))
    assert read_curve(stopped.work) == read_curve(whole.work)
    assert (stopped.output / WEIGHTS).read_bytes() == (whole.output / WEIGHTS).read_bytes()


def test_a_killed_command_continues_with_equal_losses(plan: ContrastivePlan, tmp_path: Path) -> None:
    whole = replace(plan, epochs=4, batch=2, checkpoint_steps=5)  # 56 steps
    train_contrastive(whole)
    killed = tmp_path / "killed"
    options = ["--epochs", "4", "--batch", "2", "--learning-rate", "1e-3", "--checkpoint-steps", "5"]
    words = [str(plan.source), "--model", plan.model, *options, "--output", str(killed)]
    command = [sys.executable, "-m", "clip_vectorizer", "train", "contrastive"]
    with subprocess.Popen([*command, *words], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + KILL_SECONDS
        while len(losses(killed)) < 12 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    before = losses(killed)
    assert process.returncode == -signal.SIGKILL and 12 <= len(before) < 56
    assert losses(whole.output)[: len(before)] == before
    ran = CliRunner().invoke(main, ["train", "contrastive", *words, "--resume"])
    assert (ran.exit_code, ran.stdout) == (0, f"local-dir:{killed}\n"), ran.stderr
    assert "continuing after step" in ran.stderr
    assert read_curve(killed / "training") == read_curve(whole.work)
    assert (killed / WEIGHTS).read_bytes() == (whole.output / WEIGHTS).read_bytes()


def test_two_processes_learn_as_one_does_also_after_an_end_on_the_way(
    plan: ContrastivePlan, tmp_path: Path, colours: Path
) -> None:
    source = copy_pairs(colours, tmp_path / "source", 31)
    (source / "broken.png").write_bytes(b"no image")
    (source / "broken.txt").write_text("nothing")
    model = write_architecture(tmp_path / "model")  # without dropout, whose random numbers differ by process
    one = replace(plan, source=source, model=model, batch=7)
    train_contrastive(one)
    two, progress = replace(one, output=tmp_path / "two", processes=2), RecordedProgress()
    with pytest.raises(KeyboardInterrupt):
        train_contrastive(two, Interruption(5))
    before = losses(two.output)
    with pytest.raises(InputError, match="--processes was 2; use that"):
        train_contrastive(replace(two, processes=1, resume=True))
    train_contrastive(replace(two, resume=True), progress)
    assert losses(two.output)[:5] == before  # the last one is computed twice
    assert [note for note in progress.notes if "is skipped" in note] == [
        note for note in progress.notes if note.startswith("broken.png is skipped: ")
    ] and any("is skipped" in note for note in progress.notes)
    for together, alone in zip(read_curve(two.work), read_curve(one.work), strict=True):
        assert together == {name: pytest.approx(value, abs=1e-4) for name, value in alone.items()}
    weights, expected = (load_file(each.output / WEIGHTS) for each in (two, one))
    for name, value in expected.items():
        torch.testing.assert_close(weights[name], value, atol=1e-3, rtol=0)


def test_a_continued_training_must_be_the_same_one(plan: ContrastivePlan, tmp_path: Path, colours: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_contrastive(plan, Interruption(3))
    with pytest.raises(InputError, match=r"--batch was 8; use that, or another --output"):
        train_contrastive(replace(plan, resume=True, batch=4))
    with pytest.raises(InputError, match="images or captions changed"):
        train_contrastive(replace(plan, resume=True, source=copy_pairs(colours, tmp_path / "fewer", 30)))
    (plan.work / CHECKPOINT).write_bytes(b"PK")
    with pytest.raises(InputError, match="is no checkpoint of this command"):
        train_contrastive(replace(plan, resume=True))


def copy_pairs(source: Path, target: Path, count: int) -> Path:
    target.mkdir()
    for file in sorted(source.glob("*.png"))[:count]:
        for each in (file, file.with_suffix(".txt")):
            (target / each.name).write_bytes(each.read_bytes())
    return target


def test_an_output_that_exists_is_refused(plan: ContrastivePlan) -> None:
    plan.output.mkdir()
    with pytest.raises(InputError, match="exists; name another --output, or continue its training with --resume"):
        train_contrastive(plan)
    with pytest.raises(InputError, match="contains no training"):
        train_contrastive(replace(plan, resume=True))


def test_there_must_be_a_training_to_continue(plan: ContrastivePlan) -> None:
    with pytest.raises(InputError, match="there is no training to continue; remove --resume"):
        train_contrastive(replace(plan, resume=True))


def test_images_that_cannot_be_read_are_named_and_skipped(plan: ContrastivePlan, tmp_path: Path, colours: Path) -> None:
    source, progress = copy_pairs(colours, tmp_path / "source", 12), RecordedProgress()
    for name, content in (("broken.png", b"no image"), ("empty.jpg", b"")):
        (source / name).write_bytes(content)
        (source / name).with_suffix(".txt").write_text("nothing")
    train_contrastive(replace(plan, source=source, validation_share=0, batch=14), progress)
    skipped = [note for note in progress.notes if "is skipped" in note]
    assert sorted(note.partition(" ")[0] for note in skipped) == ["broken.png", "empty.jpg"]
    assert len(losses(plan.output)) == 3 and (plan.output / WEIGHTS).exists()


def test_a_source_without_any_readable_pair_is_an_error(plan: ContrastivePlan, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in "abc":
        (source / f"{name}.png").write_bytes(b"no image")
        (source / f"{name}.txt").write_text(name)
    with pytest.raises(InputError, match="no batch has two images that can be read"):
        train_contrastive(replace(plan, source=source, validation_share=0))


def test_a_loss_that_is_no_number_ends_the_training_with_a_sentence(plan: ContrastivePlan) -> None:
    with pytest.raises(TrainingDiverged, match=r"the (loss|gradient) is (nan|inf) at step \d+; lower --learning-rate"):
        train_contrastive(replace(plan, learning_rate=1e30, warmup=0, epochs=10))
    assert not (plan.output / WEIGHTS).exists()


def test_a_model_that_does_not_exist_is_named(plan: ContrastivePlan) -> None:
    with pytest.raises(ModelUnavailable, match="no model is called 'ViT-B-33::random'"):
        train_contrastive(replace(plan, model="ViT-B-33::random"))


@pytest.mark.parametrize("tower", ["image", "text"])
def test_a_frozen_tower_keeps_its_weights(plan: ContrastivePlan, tower: Any) -> None:
    train_contrastive(replace(plan, freeze=tower, validation_share=0))
    before = load_starting_point(plan.model, "", plan.seed).model.state_dict()
    after = load_file(plan.output / WEIGHTS)
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    images = {name for name in changed if name.startswith("visual.")}
    assert (bool(images), bool(changed - images - {"logit_scale"})) == (tower == "text", tower == "image")
    assert "logit_scale" in changed


def test_the_sigmoid_loss_trains_a_bias_that_the_sidecar_loads(plan: ContrastivePlan) -> None:
    train_contrastive(replace(plan, loss="sigmoid", epochs=8))
    first, *_, last = [line["loss"] for line in losses(plan.output)]
    assert last < first
    assert load_file(plan.output / WEIGHTS)["logit_bias"] != -10
    assert load_encoder(ModelName(f"local-dir:{plan.output}"), Placement()).info.dimension == 32


def test_bf16_learns_with_weights_in_fp32(plan: ContrastivePlan) -> None:
    train_contrastive(replace(plan, precision="bf16", epochs=8, validation_share=0))
    assert {value.dtype for value in load_file(plan.output / WEIGHTS).values()} == {torch.float32}
    assert losses(plan.output)[-1]["loss"] < losses(plan.output)[0]["loss"]


def test_the_training_stops_when_validation_gains_nothing(plan: ContrastivePlan) -> None:
    progress = RecordedProgress()
    train_contrastive(replace(plan, epochs=50, learning_rate=1e-12, patience=2), progress)
    assert len(recalls(plan.output)) == 3
    assert "stopped early: 2 validations without a gain" in progress.notes
    assert not (plan.work / BEST).exists()


def test_the_activation_of_the_weights_goes_with_them(plan: ContrastivePlan, tmp_path: Path) -> None:
    folder = Path(write_architecture(tmp_path / "quick").removeprefix("local-dir:"))
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["quick_gelu"] = True
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    train_contrastive(replace(plan, model=f"local-dir:{folder}", epochs=1))
    assert json.loads((plan.output / "open_clip_config.json").read_text())["model_cfg"] == config["model_cfg"]


def test_the_output_may_keep_a_share_of_the_start(plan: ContrastivePlan, whole_run: WholeRun) -> None:
    train_contrastive(replace(plan, interpolate=0.25))
    start = load_starting_point(plan.model, "", plan.seed).model.state_dict()
    trained, mixed = (load_file(folder / WEIGHTS) for folder in (whole_run(None).output, plan.output))
    for name, value in mixed.items():
        torch.testing.assert_close(value, 0.25 * start[name] + 0.75 * trained[name])


def test_the_temperature_stays_below_100(colours: Path, miniature: str) -> None:
    clip = TrainableClip(load_starting_point(miniature, "", 0), TrainingMode())
    with torch.no_grad():
        clip.model.logit_scale.fill_(7.0)
    clip.clamp_scale()
    assert clip.model.logit_scale.exp().item() == pytest.approx(100)


def test_the_curve_is_not_drawn_without_matplotlib_and_a_sentence_says_so(
    plan: ContrastivePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    progress = RecordedProgress()
    train_contrastive(replace(plan, epochs=1), progress)
    assert any(
        "curve.png is drawn by matplotlib, which is not installed; pip install" in note for note in progress.notes
    )
    assert (plan.output / WEIGHTS).exists() and not (plan.work / PLOT).exists()


def test_the_bundled_model_is_fine_tuned_with_its_own_tokenizer(plan: ContrastivePlan, colours: Path) -> None:
    train_contrastive(replace(plan, model="emoji", epochs=1, learning_rate=1e-5))
    old, new = (load_encoder(ModelName(name), Placement()) for name in ("emoji", f"local-dir:{plan.output}"))
    assert old.prepare_text("a dark red 苹果") == new.prepare_text("a dark red 苹果")
    assert old.info.preprocessing == new.info.preprocessing
    image = Image.open(colours / "dark-red.png").resize((64, 64))
    [cosine] = (
        (old.encode_images([old.prepare_image(image)]) * new.encode_images([new.prepare_image(image)])).sum(axis=1)
    ).tolist()
    assert 0.5 < cosine < 1 - 1e-7  # its batch normalisation sees plain colours for the first time
