"""Whole trainings in miniature, from a folder of pages to a model that the sidecar loads."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from clip_vectorizer.cli import main
from clip_vectorizer.errors import InputError, TrainingDiverged
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.image_only import CONFIG, WEIGHTS
from clip_vectorizer.progress import SilentProgress
from clip_vectorizer.training.checkpoint import CHECKPOINT
from clip_vectorizer.training.curves import CURVE, PLOT, read_curve
from clip_vectorizer.training.simclr.plan import SimclrPlan
from clip_vectorizer.training.simclr.run import train_simclr
from tests.training.simclr.drawn import draw_page, save_folder

KILL_SECONDS = 1200  # a busy machine imports torch for minutes
STEPS, BATCH, CHECKPOINT_STEPS = 6, 3, 2


class Interruption(SilentProgress):
    """Ends the process's work in the middle, as a kill does: nothing is saved on the way out."""

    def __init__(self, step: int) -> None:
        self._words = f"step {step} of"

    def detail(self, words: str) -> None:
        if words.startswith(self._words):
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_folder(tmp_path_factory.mktemp("pages") / "in", images=6, pdf_pages=4)


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> SimclrPlan:
    """A training that was never stopped. It keeps its pages beside the output."""
    folder = tmp_path_factory.mktemp("whole")
    plan = SimclrPlan(
        source, folder / "out", folder / "work", steps=STEPS, batch=BATCH, checkpoint_steps=CHECKPOINT_STEPS
    )
    train_simclr(plan)
    return plan


def test_a_training_writes_a_model_and_its_curve(whole: SimclrPlan) -> None:
    lines = read_curve(whole.state)
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert all(np.isfinite([line[name] for line in lines]).all() for name in ("loss", "alignment", "uniformity"))
    assert {path.name for path in whole.output.iterdir()} == {CONFIG, WEIGHTS, "training"}
    assert {path.name for path in whole.state.iterdir()} == {CURVE, PLOT}
    assert json.loads((whole.output / CONFIG).read_text())["training"]["--steps"] == str(STEPS)
    encoder = load_encoder(ModelName(f"local-dir:{whole.output}"), Placement())
    assert (encoder.info.texts, encoder.info.dimension, encoder.info.image_size) == (False, 512, 96)


def test_a_training_learns_to_recognise_views(source: Path, tmp_path: Path) -> None:
    """A few steps on eight pages suffice for the loss to fall below that of a guess."""
    plan = SimclrPlan(source, tmp_path / "out", steps=10, batch=8)
    train_simclr(plan)
    losses = [line["loss"] for line in read_curve(plan.state)]
    assert np.mean(losses[-3:]) < np.mean(losses[:2]) - 0.2 and np.mean(losses[-3:]) < np.log(15)
    assert not plan.pages.exists()


def test_a_training_that_was_stopped_before_its_first_checkpoint_begins_again(
    whole: SimclrPlan, tmp_path: Path
) -> None:
    stopped = replace(whole, output=tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        train_simclr(stopped, Interruption(1))
    assert not (stopped.output / CONFIG).exists()
    with pytest.raises(InputError, match="there is no training to continue; remove --resume"):
        train_simclr(replace(stopped, resume=True))


def test_a_killed_command_continues_to_the_same_weights(whole: SimclrPlan, tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    options = ["--steps", str(STEPS), "--batch", str(BATCH), "--work", str(whole.work)]
    options += ["--checkpoint-steps", str(CHECKPOINT_STEPS)]
    words = [str(whole.source), *options, "--output", str(killed)]
    command = [sys.executable, "-m", "clip_vectorizer", "train", "simclr"]
    with subprocess.Popen([*command, *words], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + KILL_SECONDS
        while len(read_curve(killed / "training")) < 3 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and (killed / "training" / CHECKPOINT).exists()
    ran = CliRunner().invoke(main, ["train", "simclr", *words, "--resume"])
    assert (ran.exit_code, ran.stdout) == (0, f"local-dir:{killed}\n"), ran.stderr
    assert "continuing after step" in ran.stderr
    assert read_curve(killed / "training") == read_curve(whole.state)
    assert (killed / WEIGHTS).read_bytes() == (whole.output / WEIGHTS).read_bytes()


def test_a_continued_training_must_be_the_same_one(whole: SimclrPlan, tmp_path: Path) -> None:
    source = save_folder(tmp_path / "in", images=6, pdf_pages=1)
    stopped = replace(whole, source=source, output=tmp_path / "out", work=None)
    with pytest.raises(KeyboardInterrupt):
        train_simclr(stopped, Interruption(3))
    with pytest.raises(InputError, match=r"--temperature was 0\.2; use that, or another --output"):
        train_simclr(replace(stopped, temperature=0.5, resume=True))
    draw_page(77).save(source / "new.png")
    with pytest.raises(InputError, match="images or captions changed"):
        train_simclr(replace(stopped, resume=True))


def test_without_steps_the_weights_are_random_and_follow_from_the_seed(source: Path, tmp_path: Path) -> None:
    plans = [SimclrPlan(source, tmp_path / str(number), steps=0, seed=number // 2) for number in range(3)]
    first, again, other = ((train_simclr(plan) / WEIGHTS).read_bytes() for plan in plans)
    assert first == again and first != other
    assert {path.name for path in plans[0].output.iterdir()} == {CONFIG, WEIGHTS}
    page = draw_page(1)
    one, two = (load_encoder(ModelName(f"local-dir:{plan.output}"), Placement()) for plan in plans[::2])
    vectors = [each.encode_images([each.prepare_image(page)]) for each in (one, two)]
    assert np.isfinite(vectors).all() and not np.allclose(*vectors)


def test_a_loss_that_is_no_number_ends_the_training_and_writes_no_model(whole: SimclrPlan, tmp_path: Path) -> None:
    plan = replace(whole, output=tmp_path / "out", learning_rate=1e30)
    with pytest.raises(TrainingDiverged, match=r"at step \d; lower --learning-rate .it is 1e\+30."):
        train_simclr(plan)
    assert not (plan.output / CONFIG).exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere", "--output", "new"], "nowhere: no such file or folder; name a folder of images and PDF files"),
        ([".", "--output", "."], "exists; name another --output, or continue its training with --resume"),
        ([".", "--output", "new", "--resume"], "new contains no training; name the --output of the training"),
        ([".", "--output", "new", "--steps", "0", "--resume"], "--resume continues a training, and --steps 0 is none"),
        ([".", "--output", "new", "--steps", "5", "--epochs", "2"], "both are the length of the training"),
        ([".", "--output", "new", "--side", "100"], "'100' is not one of '96', '128'"),
    ],
)
def test_what_cannot_work_is_a_sentence(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(main, ["train", "simclr", *words])
    assert ran.exit_code == 2 and sentence in " ".join(ran.stderr.split())
