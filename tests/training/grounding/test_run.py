"""A whole training of a head in miniature."""

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file

from benchmarks.grounding_fusion import CONTROLS, FUSED, Comparison, compare_designs
from clip_vectorizer.errors import ModelUnavailable, TrainingDataError
from clip_vectorizer.models.catalog import EMOJI_DIRECTORY, ModelName, load_encoder
from clip_vectorizer.models.grounding.head_file import NAMES, WEIGHTS_FILE, load_head
from clip_vectorizer.train_cli import grounding
from clip_vectorizer.training.grounding.calibrate import fit_logistic
from clip_vectorizer.training.grounding.plan import GroundingPlan, HeadStage, ScenePlan
from clip_vectorizer.training.grounding.run import load_weights_of, train_grounding
from tests.documents import page
from tests.models.small import CPU
from tests.training.art import write_packages

LINES = page("docs/grounding.md").commands("clip-vectorizer")
COMMANDS = [line for line in LINES if line.startswith("clip-vectorizer train ")]
FEWER = shlex.split("--steps 1 --batch 2 --channels 128 --calibration 1")  # what a test has no time for
SCENES = ScenePlan(counts=(1, 3))
STAGE = HeadStage(steps=3, batch=2, warmup=1, absent=4, channels=16, checkpoint_steps=2, calibration=3, scenes=SCENES)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> GroundingPlan:
    work = tmp_path_factory.mktemp("grounding")
    write_packages(work / "packages")
    plan = GroundingPlan(work, work / "grounded", STAGE)
    train_grounding(plan)
    return plan


def test_the_output_is_a_model_with_a_head(plan: GroundingPlan) -> None:
    encoder = load_encoder(ModelName(f"local-dir:{plan.output}"), CPU)
    assert encoder.info.revision == load_encoder(ModelName("emoji"), CPU).info.revision
    found = load_head(encoder, plan.output).ground(
        Image.new("RGB", (90, 60), "white"), [["red circle"], ["green square"]]
    )
    assert found.probabilities_pn.shape == (2, len(found.regions.boxes_n4))
    assert ((found.probabilities_pn >= 0) & (found.probabilities_pn <= 1)).all()


def test_only_what_differs_from_the_model_is_stored(plan: GroundingPlan) -> None:
    stored = load_file(plan.output / WEIGHTS_FILE)
    stages = {name.split(".")[1] for name in stored if name.startswith("trunk.")}
    assert stages == set(STAGE.tuned)
    assert stored.pop(NAMES).dtype is torch.int8
    assert {value.dtype for value in stored.values()} == {torch.bfloat16, torch.float16}


def test_what_is_tuned_has_changed_and_what_is_shared_has_not(plan: GroundingPlan) -> None:
    trained = load_file(plan.work / f"{STAGE.name}.safetensors")
    model = {
        name.removeprefix("visual."): value.float()
        for name, value in load_file(EMOJI_DIRECTORY / "open_clip_model.safetensors").items()
    }
    for name in ("trunk.conv1.0.weight", "trunk.layer1.0.conv1.weight", "trunk.layer4.0.conv2.weight"):
        torch.testing.assert_close(trained[name], model[name], rtol=0, atol=1e-6)
    assert not torch.equal(trained["trunk.layer3.0.conv1.weight"], model["trunk.layer3.0.conv1.weight"])


def test_a_finished_training_is_not_repeated(plan: GroundingPlan) -> None:
    file = plan.work / f"{STAGE.name}.safetensors"
    before = file.stat().st_mtime_ns
    train_grounding(replace(plan, output=plan.work / "again"))
    assert file.stat().st_mtime_ns == before
    assert (plan.work / "again" / WEIGHTS_FILE).read_bytes() == (plan.output / WEIGHTS_FILE).read_bytes()


def test_a_training_continues_from_its_checkpoint(plan: GroundingPlan) -> None:
    (plan.work / f"{STAGE.name}.safetensors").unlink()
    checkpoint = torch.load(plan.work / f"{STAGE.name}.checkpoint", weights_only=True)
    assert checkpoint["step"] == 2
    train_grounding(plan)
    assert (plan.work / f"{STAGE.name}.safetensors").exists()


def test_the_lines_of_the_page_train_what_they_say(
    plan: GroundingPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the page: the student needs the weights of the teacher before it."""
    (tmp_path / "emoji").symlink_to(plan.work)
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 3
    for line in COMMANDS:
        _, _, _, *words = shlex.split(line)
        done = CliRunner().invoke(grounding, [*words, *FEWER])
        assert done.exit_code == 0, done.output
        assert done.stdout.strip() == f"local-dir:{tmp_path / words[words.index('--output') + 1]}"
        assert (tmp_path / words[words.index("--output") + 1] / WEIGHTS_FILE).exists()


def test_the_benchmark_of_fusion_prints_a_row_for_each_design(plan: GroundingPlan) -> None:
    """Of the miniature head, whose regions are stored beside the packages."""
    lines = list(compare_designs(Comparison(plan.work, plan.output, 3, 2, (0,), 2, (1, 2), 1, "en")))
    cells = {line.split(" | ")[0].removeprefix("| "): line.split(" | ") for line in lines[2:]}
    assert {*CONTROLS, *FUSED} < set(cells) and len({len(each) for name, each in cells.items() if name in FUSED}) == 1
    assert len(list(plan.work.glob("regions-*.npz"))) == 3


def test_a_teacher_must_be_the_weights_of_a_head(tmp_path: Path) -> None:
    file = tmp_path / "head.safetensors"
    file.write_bytes(b"no weights")
    with pytest.raises(TrainingDataError, match="has no weights of a head"):
        load_weights_of(file)


def test_a_head_of_other_weights_is_refused(plan: GroundingPlan, tmp_path: Path) -> None:
    encoder = load_encoder(ModelName("emoji"), CPU)
    other = replace(encoder.info, revision="0123456789abcdef")

    class Other:
        info = other

    with pytest.raises(ModelUnavailable, match="was trained on weights of revision"):
        load_head(Other(), plan.output)  # type: ignore[arg-type]
    with pytest.raises(ModelUnavailable, match="has no trained head"):
        load_head(encoder, tmp_path)


def test_the_calibration_finds_the_odds_of_its_data() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20_000, 3))
    right = rng.random(20_000) < 1 / (1 + np.exp(-(features @ [2.0, -1.0, 0.0] - 1)))
    assert fit_logistic(features, right.astype(float)) == pytest.approx([2.0, -1.0, 0.0, -1.0], abs=0.1)
