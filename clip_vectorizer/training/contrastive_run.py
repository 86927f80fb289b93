"""Trains a CLIP on captioned images: from the options to a folder that `clip-vectorizer serve` takes.

N images · D dimensions
"""

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from clip_vectorizer.errors import InputError, TrainingDiverged
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.progress import SILENT, StepProgress
from clip_vectorizer.training.captioned_images import (
    CaptionColumns,
    CaptionedImage,
    list_captioned_images,
    split_validation,
)
from clip_vectorizer.training.checkpoint import CHECKPOINT, TrainingState, check_unchanged, load_state, save_state
from clip_vectorizer.training.chunked_gradients import RandomState, TowerInput, compute_gradients
from clip_vectorizer.training.contrastive import build_optimizer, learning_rate
from clip_vectorizer.training.contrastive_plan import WARMUP_SHARE, ContrastivePlan
from clip_vectorizer.training.curves import CurveFile, draw_curve
from clip_vectorizer.training.pair_loader import BatchOrder, PairBatch, PairLoader
from clip_vectorizer.training.pair_losses import PairRecall, measure_pair_recall
from clip_vectorizer.training.stage_files import save_weights
from clip_vectorizer.training.trainable import TrainableClip, TrainingMode, load_starting_point
from clip_vectorizer.vectors import Vectors

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
    """Train, and return the folder of the model. Raises InputError, ModelUnavailable, TrainingDiverged, OSError."""
    plan.check_output()
    Placement(plan.device, plan.precision).check()
    progress.step("listing captioned images")
    pairs = list_pairs(plan, progress)
    progress.step(f"loading {plan.model}")
    mode = TrainingMode(plan.loss, plan.freeze, plan.device, plan.precision)
    clip = TrainableClip(load_starting_point(plan.model, plan.architecture, plan.seed), mode)
    run = ContrastiveRun(plan, clip, pairs, progress)
    run.train()
    return run.finish()


def list_pairs(plan: ContrastivePlan, progress: StepProgress) -> TrainingPairs:
    columns = CaptionColumns(plan.path_column, plan.caption_column)
    listing = list_captioned_images(plan.source, columns)
    if listing.without_caption:
        progress.note(f"{plan.source}: {listing.without_caption} images without a caption are left out")
    if plan.validation:
        pairs = TrainingPairs(listing.images, list_captioned_images(plan.validation, columns).images)
    else:
        pairs = TrainingPairs(*split_validation(listing.images, plan.validation_share, plan.seed))
    progress.note(f"{len(pairs.learned):,} images to learn from, {len(pairs.held_out):,} held out for validation")
    return pairs


class ContrastiveRun:
    """One training from its start, or from its checkpoint, to its end."""

    def __init__(
        self, plan: ContrastivePlan, clip: TrainableClip, pairs: TrainingPairs, progress: StepProgress
    ) -> None:
        self._plan, self._clip, self._pairs, self._progress = plan, clip, pairs, progress
        self._order = BatchOrder(len(pairs.learned), min(plan.batch, len(pairs.learned)), plan.seed)
        self._steps = self._order.steps * plan.epochs
        self._warmup = math.ceil(WARMUP_SHARE * self._steps) if plan.warmup is None else plan.warmup
        self._loader, self._held_out = (
            PairLoader(images, clip.recipe, clip, self._note_skipped) for images in (pairs.learned, pairs.held_out)
        )
        self._optimizer = build_optimizer(clip.model, plan.peak, plan.weight_decay)
        self._device = torch.device(plan.device)
        self._start = clip.copy_weights() if plan.interpolate else {}
        self._step, self._best_recall, self._stale_epochs = 0, -1.0, 0
        if plan.resume:
            self._restore()
        else:
            self._begin()

    def train(self) -> None:
        """Run all steps that are left. Stops early where validation gains nothing. Raises TrainingDiverged."""
        self._progress.step("training")
        began, first = time.monotonic(), self._step
        steps = range(self._step, 0 if self._is_stale else self._steps)
        batches = self._loader.load_steps(self._order, steps, self._plan.crop)
        for batch in batches:
            loss = self._learn(batch)
            rate = (self._step - first) / (time.monotonic() - began)
            words = f"step {self._step:,} of {self._steps:,}, loss {loss:.4f}, {rate * self._order.batch:.0f} images/s"
            self._progress.detail(words)
            is_epoch = self._step % self._order.steps == 0
            if is_epoch and self._pairs.held_out:
                self._validate()
            if is_epoch or self._step % self._plan.checkpoint_steps == 0:
                self._save()
            if self._is_stale:
                self._progress.note(f"stopped early: {self._stale_epochs} validations without a gain")
                batches.close()  # ends the threads that decode ahead
                break
        if self._step == first and first < self._steps and not self._is_stale:
            raise InputError(f"{self._plan.source}: no batch has two images that can be read")

    def finish(self) -> Path:
        """Write the model's folder, with the weights that validated best; return it."""
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
        return plan.output

    @property
    def _is_stale(self) -> bool:
        return self._stale_epochs >= self._plan.patience

    def _begin(self) -> None:
        self._plan.work.mkdir(parents=True)
        self._curve = CurveFile(self._plan.work, 0)
        self._save()

    def _restore(self) -> None:
        """Continue from the checkpoint. Raises InputError."""
        state = load_state(self._plan.work)
        check_unchanged(state, self._plan.describe(), self._pairs.digest)
        self._clip.model.load_state_dict(state.model)
        self._optimizer.load_state_dict(state.optimizer)
        RandomState(state.random_cpu, state.random_cuda).restore(self._device)
        self._step, self._best_recall, self._stale_epochs = state.step, state.best_recall, state.stale_epochs
        self._curve = CurveFile(self._plan.work, state.step)
        self._progress.note(f"continuing after step {state.step:,} of {self._steps:,}")

    def _save(self) -> None:
        random = RandomState.capture(self._device)
        state = TrainingState(
            step=self._step,
            model=self._clip.model.state_dict(),
            optimizer=self._optimizer.state_dict(),
            random_cpu=random.cpu,
            random_cuda=random.cuda,
            best_recall=self._best_recall,
            stale_epochs=self._stale_epochs,
            options=self._plan.describe(),
            data=self._pairs.digest,
        )
        save_state(state, self._plan.work)

    def _learn(self, batch: PairBatch) -> float:
        """One step of the optimizer. Raises TrainingDiverged before the weights are changed by what is no number."""
        clip, rate = self._clip, learning_rate(batch.step, self._steps, self._warmup, self._plan.peak)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        clip.learn()
        self._optimizer.zero_grad()
        images = TowerInput(clip.embed_images, batch.pixels_bss3.to(self._device), self._plan.freeze == "image")
        texts = TowerInput(clip.embed_texts, batch.ids_bt.to(self._device), self._plan.freeze == "text")
        loss = compute_gradients(images, texts, self._plan.chunk or len(batch), clip.loss).item()
        norm = torch.nn.utils.clip_grad_norm_(clip.model.parameters(), MAX_GRADIENT_NORM).item()
        self._check_number(loss, "loss", batch.step + 1)
        self._check_number(norm, "gradient", batch.step + 1)
        self._optimizer.step()
        clip.clamp_scale()
        self._step = batch.step + 1
        scale = clip.model.logit_scale.exp().item()
        self._curve.add(self._place() | {"loss": loss, "learning_rate": rate, "scale": scale})
        return loss

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
        recall = measure_run_recall(self._clip, self._pairs.held_out, self._held_out, self._pass_size)
        line = {"image_to_text": recall.image_to_text, "text_to_image": recall.text_to_image}
        self._curve.add(self._place() | line)
        self._progress.note(f"epoch {self._place()['epoch']}: {format_recall(recall)}")
        if recall.first > self._best_recall:
            self._best_recall, self._stale_epochs = recall.first, 0
            beside = self._plan.work / f"{BEST}.part"
            save_weights(self._clip.copy_weights(), beside)
            beside.replace(self._plan.work / BEST)
        else:
            self._stale_epochs += 1

    @property
    def _pass_size(self) -> int:
        return self._plan.chunk or self._plan.batch

    def _note_skipped(self, key: str, reason: str) -> None:
        self._progress.note(f"{key} is skipped: {reason}")


def interpolate_weights(trained: Mapping[str, Tensor], start: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return `share` of `start` and the rest of `trained` (WiSE-FT, Wortsman et al. 2021). Counters stay as trained."""
    return {
        name: value.lerp(start[name], share) if value.is_floating_point() else value for name, value in trained.items()
    }


def format_recall(recall: PairRecall) -> str:
    first, back = recall.image_to_text[0], recall.text_to_image[0]
    return f"recall@1 of image -> text {first:.3f}, text -> image {back:.3f}"


def measure_run_recall(
    clip: TrainableClip, images: Sequence[CaptionedImage], loader: PairLoader, batch: int
) -> PairRecall:
    """Measure recall of the first caption of each image. Raises TrainingDiverged, InputError without two images."""
    clip.model.eval()
    read, images_nd = embed_held_out(clip, loader, batch)
    if len(read) < 2:
        raise InputError("fewer than two images for validation can be read; name others with --validation")
    captions = [images[at].captions[0] for at in read]
    numbers = {caption: number for number, caption in enumerate(dict.fromkeys(captions))}
    texts_md = embed_captions(clip, list(numbers), batch)
    if not (np.isfinite(images_nd).all() and np.isfinite(texts_md).all()):
        raise TrainingDiverged("the vectors of the validation are no numbers; lower --learning-rate")
    return measure_pair_recall(images_nd, texts_md, np.array([numbers[caption] for caption in captions]))


@torch.no_grad()
def embed_held_out(clip: TrainableClip, loader: PairLoader, batch: int) -> tuple[list[int], Vectors]:
    """Return the numbers of the images that can be read, and their (N, D) unit rows."""
    read: list[int] = []
    rows: list[Vectors] = []
    for numbers, pixels_bss3 in loader.load_all(batch):
        read += numbers
        rows.append(clip.embed_images(pixels_bss3.to(clip.mode.device)).cpu().numpy())
    return read, np.concatenate(rows) if rows else np.zeros((0, 0), dtype=np.float32)


@torch.no_grad()
def embed_captions(clip: TrainableClip, captions: Sequence[str], batch: int) -> Vectors:
    parts = (captions[start : start + batch] for start in range(0, len(captions), batch))
    return np.concatenate(
        [clip.embed_texts(clip.encode_ids(part).to(clip.mode.device)).cpu().numpy() for part in parts]
    )
