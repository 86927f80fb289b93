"""`clip-vectorizer train grounding`: scenes of emoji drawings to the head that is beside the weights of `emoji`.

The text tower is frozen, and so is what the head shares with the image tower. A checkpoint in the work folder continues
an interrupted training.
"""

import logging
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from clip_vectorizer.errors import TrainingDataError
from clip_vectorizer.models.catalog import EMOJI_DIRECTORY, ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.comparison import HeadParts
from clip_vectorizer.models.grounding.head import HeadGrounder
from clip_vectorizer.models.grounding.head_file import (
    NAMES,
    WEIGHTS_FILE,
    describe_head,
    load_tower,
    quantize_names,
    read_vocabulary,
    select_own_weights,
    start_network,
)
from clip_vectorizer.models.grounding.network import RegionNetwork
from clip_vectorizer.training.art_sets import TRAINING_SETS
from clip_vectorizer.training.contrastive import WeightAverage, learning_rate
from clip_vectorizer.training.drawings import Concept, fetch_packages, load_concepts
from clip_vectorizer.training.emoji import flush_denormals
from clip_vectorizer.training.grounding.calibrate import fit_calibrations
from clip_vectorizer.training.grounding.lessons import compute_lesson, make_batch
from clip_vectorizer.training.grounding.phrase_vectors import PhraseVectors
from clip_vectorizer.training.grounding.plan import GroundingPlan, HeadStage
from clip_vectorizer.training.grounding.scene_art import SCENE_STYLES, SceneArt, map_art
from clip_vectorizer.training.grounding.scene_pool import EndlessScenes, ScenePool, SceneSource, Teacher
from clip_vectorizer.training.stage_files import load_or_train, save_weights
from clip_vectorizer.training.tower_training import LossLog, descend, restore_checkpoint, save_checkpoint
from clip_vectorizer.training.training_extras import check_extras

log = logging.getLogger(__name__)

FROM_TOWER = ("trunk.", "direct.")  # weights that start as those of the image tower
TURN = 12.0  # degrees by which drawings are turned at most


def train_grounding(plan: GroundingPlan) -> None:
    """Train the head unless its weights are in the work folder, calibrate and write it. Raises TrainingDataError."""
    check_extras(("resvg_py",))
    model = plan.model or EMOJI_DIRECTORY
    plan.work.mkdir(parents=True, exist_ok=True)
    with flush_denormals():
        packages = fetch_packages(plan.work / "packages")
        concepts = load_concepts(packages)
        encoder = load_encoder(ModelName(f"local-dir:{model}"), Placement())
        phrases = PhraseVectors.load(plan.work / f"phrases-{encoder.info.revision}.npz", encoder, concepts)
        art = map_art(plan.work, packages, concepts, TRAINING_SETS, SCENE_STYLES, TURN)
        network, name = build_network(model, plan.stage), plan.stage.name

        def train() -> dict[str, Tensor]:
            scenes, teacher = open_scenes(art, phrases, model, plan.stage)
            state = train_head(network, scenes, phrases, plan.stage, plan.work / f"{name}.checkpoint")
            if teacher:
                log.info("labels of the teacher: %s", ", ".join(f"{n} {kind}" for kind, n in teacher.labels.items()))
            return state

        network.load_state_dict(load_or_train(plan.work / f"{name}.safetensors", plan.stage.steps, train))
        copy_model(model, plan.output)
        names = quantize_names(phrases.caption_names("en"))
        export_head(network.eval(), encoder, art, concepts, names, plan)


def open_scenes(
    art: SceneArt, phrases: PhraseVectors, model: Path, stage: HeadStage
) -> tuple[SceneSource, Teacher | None]:
    """Return where scenes come from, and who labels those without boxes."""
    pool = stage.self_training
    if not pool:
        return EndlessScenes(art, stage.scenes), None
    if not pool.teacher:
        return ScenePool(art, stage.scenes, pool, None), None
    network = build_network(model, stage)
    network.load_state_dict(load_weights_of(pool.teacher))
    teacher = Teacher(network, phrases, pool.threshold)
    return ScenePool(art, stage.scenes, pool, teacher), teacher


def load_weights_of(file: Path) -> dict[str, Tensor]:
    """Return the weights of an earlier training. Raises TrainingDataError."""
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise TrainingDataError(
            f"{file} has no weights of a head ({error}); name head-*.safetensors in --work"
        ) from error


def copy_model(source: Path, target: Path) -> None:
    """Copy the files of the model, without a head that may be there."""
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.is_file() and file.name != WEIGHTS_FILE and not (target / file.name).exists():
            shutil.copyfile(file, target / file.name)


def export_head(
    network: RegionNetwork,
    encoder: Encoder,
    art: SceneArt,
    concepts: Sequence[Concept],
    names: Tensor,
    plan: GroundingPlan,
) -> None:
    """Calibrate the head, for each kind of vectors, and write its file with the `names` that compete (int8)."""
    stage = plan.stage
    grounder = HeadGrounder(network, encoder, HeadParts(read_vocabulary(names), {}))
    calibrations = fit_calibrations(grounder, art, stage.scenes, concepts, stage.calibration)
    weights = select_own_weights(network, network.state_dict(), stage.tuned)
    facts = describe_head(encoder, stage.channels, calibrations)
    save_weights({**weights, NAMES: names}, plan.output / WEIGHTS_FILE, facts)


def train_head(
    network: RegionNetwork, scenes: SceneSource, phrases: PhraseVectors, stage: HeadStage, checkpoint: Path
) -> dict[str, Tensor]:
    """Return averaged weights. Continues from the file `checkpoint` where there is one."""
    optimizer, average = build_head_optimizer(network, stage), WeightAverage(network, stage.average)
    first = restore_checkpoint(checkpoint, network, optimizer, average) if checkpoint.exists() else 0
    torch.manual_seed(stage.seed + first)
    rng, losses = random.Random(stage.seed + first), LossLog("head", first, stage.steps)
    network.eval()  # batch norms keep the statistics of `emoji`; nothing else depends on the mode
    for step in range(first, stage.steps):
        set_rates(optimizer, learning_rate(step, stage.steps, stage.warmup, stage.peak))
        batch = make_batch(scenes.draw(stage.batch, rng))
        loss = compute_lesson(network, batch, phrases, stage.absent, stage.weights, rng)
        descend(network, optimizer, loss.total)
        average.update(network, step)
        losses.add(step, loss.parts)
        if (step + 1) % stage.checkpoint_steps == 0:
            save_checkpoint(checkpoint, network, optimizer, average, step + 1)
    return average.state


def build_network(folder: Path, stage: HeadStage) -> RegionNetwork:
    """Return a head with random weights on the image tower in `folder`; only its tuned stages learn."""
    torch.manual_seed(stage.seed)
    network = start_network(load_tower(folder), stage.channels)
    network.trunk.requires_grad_(False)
    for name in stage.tuned:
        network.trunk.get_submodule(name).requires_grad_(True)
    return network.to(memory_format=torch.channels_last)


def build_head_optimizer(network: RegionNetwork, stage: HeadStage) -> torch.optim.AdamW:
    """Return AdamW in groups: what is the tower's learns at a share of the rate; gains and biases have no decay."""
    groups = []
    for share, inside in ((stage.trunk_share, True), (1.0, False)):
        weights = [each for name, each in network.named_parameters() if name.startswith(FROM_TOWER) == inside]
        for decay, matrices in ((stage.weight_decay, True), (0.0, False)):
            chosen = [each for each in weights if each.requires_grad and (each.ndim >= 2) == matrices]
            groups.append({"params": chosen, "weight_decay": decay, "share": share})
    return torch.optim.AdamW(groups, lr=stage.peak, betas=(0.9, 0.98), eps=1e-6)


def set_rates(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]
