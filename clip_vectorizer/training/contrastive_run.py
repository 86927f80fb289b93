"""Trains a CLIP on captioned images: from the options to a folder that `clip-vectorizer serve` takes.

With several processes each one runs all of this; the first one writes and reports.
"""

import hashlib
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from clip_vectorizer.errors import InputError, TrainingDiverged
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.progress import SILENT, StepProgress
from clip_vectorizer.training.captioned_images import (
    LEAST_IMAGES,
    CaptionedImage,
    split_validation,
)
from clip_vectorizer.training.checkpoint import CHECKPOINT, TrainingState, check_unchanged, load_state, save_state
from clip_vectorizer.training.chunked_gradients import RandomState, TowerInput, compute_gradients
from clip_vectorizer.training.contrastive import build_optimizer, learning_rate
from clip_vectorizer.training.contrastive_plan import COPY, VALIDATION_COPY, WARMUP_SHARE, ContrastivePlan
from clip_vectorizer.training.curves import CurveFile, CurveLine, draw_curve
from clip_vectorizer.training.pair_loader import BatchOrder, PairBatch, PairLoader
from clip_vectorizer.training.pair_validation import format_recall, measure_run_recall
from clip_vectorizer.training.stage_files import save_weights
from clip_vectorizer.training.trainable import FREE_PARAMETERS, TrainableClip, TrainingMode, load_starting_point
from clip_vectorizer.training.training_group import TrainingGroup, read_rank
from clip_vectorizer.training.training_processes import open_group
from clip_vectorizer.training.training_sources import open_source, open_validation

BEST = "best.safetensors"
MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True, slots=True)
class TrainingPairs:
    learned: Sequence[CaptionedImage]
    held_out: Sequence[CaptionedImage]

    @property
    def digest(self) -> str:
        sha = hashlib.sha256()
        for image in (*self.learned, *self.held_out):
            sha.update(repr((image.key, image.captions)).encode())
        return sha.hexdigest()


def train_contrastive(plan: ContrastivePlan, progress: StepProgress = SILENT) -> Path:
    """Train, and return the folder of the model.

    Raises InputError, ModelUnavailable, TrainingDiverged, TrainingProcessFailed, OSError.
    """
    if read_rank().is_first:
        plan.check_output()
    with open_group(plan.processes, plan.device, partial(run_training, plan)) as group:
        run_training(plan, group, progress if group.is_first else SILENT)
    return plan.output


def run_training(plan: ContrastivePlan, group: TrainingGroup, progress: StepProgress = SILENT) -> None:
    """All that one process does."""
    Placement(group.device, plan.precision).check()
    with group.first_before_others():
        progress.step("listing captioned images")
        pairs = list_pairs(plan, progress, group.is_first)
        progress.step(f"loading {plan.model}")
        start = load_starting_point(plan.model, plan.architecture, plan.seed)
    if not group.is_first:
        torch.manual_seed(plan.seed + group.rank)  # of dropout: each part of a batch has other random numbers
    clip = TrainableClip(start, TrainingMode(plan.loss, plan.freeze, group.device, plan.precision))
    run = ContrastiveRun(plan, clip, pairs, progress, group)
    run.train()
    if group.is_first:
        run.finish()


def list_pairs(plan: ContrastivePlan, progress: StepProgress, is_copying: bool = True) -> TrainingPairs:
    listing = open_source(plan, progress, is_copying)
    if listing.without_caption:
        progress.note(f"{plan.source}: {listing.without_caption} images without a caption are left out")
    if plan.validation:
        pairs = TrainingPairs(listing.images, open_validation(plan, plan.validation, progress, is_copying).images)
    else:
        pairs = TrainingPairs(*split_validation(listing.images, plan.validation_share, plan.seed))
    progress.note(f"{len(pairs.learned):,} images to learn from, {len(pairs.held_out):,} held out for validation")
    return pairs


class ContrastiveRun:
    """One training from its start, or from its checkpoint, to its end."""

    def __init__(
        self,
        plan: ContrastivePlan,
        clip: TrainableClip,
        pairs: TrainingPairs,
        progress: StepProgress,
        group: TrainingGroup,
    ) -> None:
        self._plan, self._clip, self._pairs, self._progress, self._group = plan, clip, pairs, progress, group
        self._order = BatchOrder(len(pairs.learned), min(plan.batch, len(pairs.learned)), plan.seed)
        self._steps = self._order.steps * plan.epochs
        self._warmup = math.ceil(WARMUP_SHARE * self._steps) if plan.warmup is None else plan.warmup
        self._skipped: dict[str, str] = {}  # key and reason
        self._reported: set[str] = set()
        self._loader, self._held_out = (
            PairLoader(images, clip.recipe, clip, self._skipped.setdefault)
            for images in (pairs.learned, pairs.held_out)
        )
        self._optimizer = build_optimizer(clip.model, plan.peak, plan.weight_decay)
        self._device = torch.device(group.device)
        group.copy_weights(clip.model.state_dict().values())
        self._start = clip.copy_weights() if plan.interpolate else {}
        self._options = plan.describe() | {"--processes": str(group.size)}
        self._step, self._best_recall, self._stale_epochs, self._learned = 0, -1.0, 0, 0
        if plan.resume:
            self._restore()
        else:
            self._begin()

    def train(self) -> None:
        """Run all steps that are left. Stops early where validation gains nothing. Raises TrainingDiverged."""
        self._progress.step("training")
        began, first = time.monotonic(), self._step
        steps = range(self._step, 0 if self._is_stale else self._steps)
        batches = self._loader.load_steps(self._order, steps, self._plan.crop, self._group)
        for batch in batches:
            loss = self._learn(batch)
            rate = (self._step - first) / (time.monotonic() - began)
            words = f"step {self._step:,} of {self._steps:,}, loss {loss:.4f}, {rate * self._order.batch:.0f} images/s"
            self._progress.detail(words)
            self._end_step()
            if self._is_stale:
                self._progress.note(f"stopped early: {self._stale_epochs} validations without a gain")
                batches.close()  # ends the threads that decode ahead
                break
        if steps and not self._learned:
            raise InputError(f"{self._plan.source}: no batch has two images that can be read")

    def _end_step(self) -> None:
        is_epoch = self._step % self._order.steps == 0
        if is_epoch and self._learned and self._pairs.held_out:
            self._validate()
        if is_epoch:
            self._report_skipped()
        if is_epoch or self._step % self._plan.checkpoint_steps == 0:
            self._save()

    def finish(self) -> None:
        """Write the model's folder, with the weights that validated best."""
        plan = self._plan
        best = plan.work / BEST
        weights = load_file(best) if best.exists() else self._clip.copy_weights()
        if plan.interpolate:
            weights = interpolate_weights(weights, self._start, plan.interpolate)
        self._clip.export(weights, plan.output)
        try:
            draw_curve(plan.work)
        except InputError as error:
            self._progress.note(str(error))
        best.unlink(missing_ok=True)
        (plan.work / CHECKPOINT).unlink()
        for copy in (COPY, VALIDATION_COPY):
            shutil.rmtree(plan.work / copy, ignore_errors=True)

    @property
    def _is_stale(self) -> bool:
        return self._stale_epochs >= self._plan.patience

    def _begin(self) -> None:
        if self._group.is_first:
            self._plan.work.mkdir(parents=True, exist_ok=True)  # copied images may be there
            self._curve = CurveFile(self._plan.work, 0)
        self._save()

    def _restore(self) -> None:
        """Continue from the checkpoint. Raises InputError."""
        state = load_state(self._plan.work)
        check_unchanged(state, self._options, self._pairs.digest)
        self._clip.model.load_state_dict(state.model)
        self._optimizer.load_state_dict(state.optimizer)
        RandomState(*state.random_numbers[self._group.rank]).restore(self._device)
        self._step = self._learned = state.step
        self._best_recall, self._stale_epochs = state.best_recall, state.stale_epochs
        if self._group.is_first:
            self._curve = CurveFile(self._plan.work, state.step)
        self._progress.note(f"continuing after step {state.step:,} of {self._steps:,}")

    def _save(self) -> None:
        own = RandomState.capture(self._device)
        random_numbers = self._group.gather_values((own.cpu, own.cuda))
        if not self._group.is_first:
            return
        state = TrainingState(
            step=self._step,
            model=self._clip.model.state_dict(),
            optimizer=self._optimizer.state_dict(),
            random_numbers=random_numbers,
            best_recall=self._best_recall,
            stale_epochs=self._stale_epochs,
            options=self._options,
            data=self._pairs.digest,
        )
        save_state(state, self._plan.work)

    def _learn(self, batch: PairBatch) -> float:
        """One step of the optimizer; return the loss, NaN for a batch without two images that can be read.

        Raises TrainingDiverged before the weights are changed by what is no number.
        """
        self._step = batch.step + 1
        if self._group.count_all(len(batch)) < LEAST_IMAGES:
            return math.nan
        rate = learning_rate(batch.step, self._steps, self._warmup, self._plan.peak)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss = self._compute_gradients(batch)
        norm = torch.nn.utils.clip_grad_norm_(self._clip.model.parameters(), MAX_GRADIENT_NORM).item()
        self._check_number(loss, "loss", self._step)
        self._check_number(norm, "gradient", self._step)
        self._optimizer.step()
        self._clip.clamp_scale()
        self._learned += 1
        scale = self._clip.model.logit_scale.exp().item()
        self._record({"loss": loss, "learning_rate": rate, "scale": scale})
        return loss

    def _compute_gradients(self, batch: PairBatch) -> float:
        """Fill the gradients of all weights with those of the whole batch; return its loss."""
        clip, freeze = self._clip, self._plan.freeze
        clip.learn()
        self._optimizer.zero_grad()
        images = TowerInput(clip.embed_images, batch.pixels_bss3.to(self._device), freeze == "image")
        texts = TowerInput(clip.embed_texts, batch.ids_bt.to(self._device), freeze == "text")
        chunk = self._plan.chunk or self._plan.batch
        loss = compute_gradients(images, texts, chunk, clip.loss, self._group).item()
        self._group.add_gradients(dict(clip.model.named_parameters()), FREE_PARAMETERS)
        return loss

    def _record(self, values: CurveLine) -> None:
        if self._group.is_first:
            self._curve.add(self._place() | values)

    def _check_number(self, value: float, name: str, step: int) -> None:
        if not math.isfinite(value):
            raise TrainingDiverged(
                f"the {name} is {value} at step {step}; lower --learning-rate (it is {self._plan.peak:g}), lengthen "
                f"--warmup, or use --precision fp32, with another --output ({self._plan.output} has the curve)"
            )

    def _place(self) -> dict[str, int]:
        return {"step": self._step, "epoch": math.ceil(self._step / self._order.steps)}

    def _validate(self) -> None:
        """Measure recall on the images held out; keep the weights that are the best so far."""
        pass_size = self._plan.chunk or self._plan.batch
        try:
            recall = measure_run_recall(self._clip, self._pairs.held_out, self._held_out, pass_size, self._group)
        except InputError:
            self._report_skipped()  # they are why
            raise
        self._record({"image_to_text": recall.image_to_text, "text_to_image": recall.text_to_image})
        self._progress.note(f"epoch {self._place()['epoch']}: {format_recall(recall)}")
        if recall.first <= self._best_recall:
            self._stale_epochs += 1
            return
        self._best_recall, self._stale_epochs = recall.first, 0
        if self._group.is_first:
            beside = self._plan.work / f"{BEST}.part"
            save_weights(self._clip.copy_weights(), beside)
            beside.replace(self._plan.work / BEST)

    def _report_skipped(self) -> None:
        """Name the images that any process could not read, each once."""
        found = {key: why for part in self._group.gather_values(self._skipped) for key, why in part.items()}
        for key in sorted(found.keys() - self._reported):
            self._progress.note(f"{key} is skipped: {found[key]}")
        self._reported |= found.keys()


def interpolate_weights(trained: Mapping[str, Tensor], start: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return `share` of `start` and the rest of `trained` (WiSE-FT, Wortsman et al. 2021). Counters stay as trained."""
    return {
        name: value.lerp(start[name], share) if value.is_floating_point() else value for name, value in trained.items()
    }
