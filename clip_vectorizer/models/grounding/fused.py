"""Detectors that read picture and phrases together: Grounding DINO, MM-Grounding-DINO, OmDet-Turbo.

One pass over the picture for all phrases; transformers' pipeline makes one for each (benchmarks/grounding_passes.py).
Their regions depend on the phrases, so nothing can be stored before a question.

N regions · P phrases · Q prompts of all phrases · T tokens
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from clip_vectorizer.boxes import BoxArray, ScoreArray
from clip_vectorizer.errors import NoGrounder
from clip_vectorizer.models.detectors import Detector
from clip_vectorizer.models.device_errors import detect_lost_device
from clip_vectorizer.models.grounding.answers import average_prompts, enlarge_tiny, select_best, to_corners
from clip_vectorizer.models.grounding.grounder import GrounderInfo, Groundings, Regions
from clip_vectorizer.models.grounding.scores import compute_logits

SEPARATOR = "."  # between phrases, as Grounding DINO was trained
OUTER_TOKENS = 2  # [CLS] and [SEP]


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes of one picture, and for each prompt the probability that a box is of it."""

    boxes_n4: BoxArray
    probabilities_qn: ScoreArray


class PromptReader(Protocol):
    """What differs between the families."""

    def detect(self, image: Image.Image, prompts: Sequence[str]) -> Detections: ...

    def find_cut(self, prompts: Sequence[str]) -> int:
        """Return the number of tokens that are read of the longest prompt, 0 where all are read whole."""


class FusedGrounder:
    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        reader = ClassReader if detector.kind == "omdet-turbo" else CaptionReader
        self._reader: PromptReader = reader(detector)

    @property
    def info(self) -> GrounderInfo:
        return GrounderInfo(self._detector.name, self._detector.revision, fused=True)

    def propose(self, image: Image.Image, limit: int) -> Regions:
        """Raise NoGrounder: without phrases there is nothing to find."""
        raise NoGrounder(f"{self._detector.name} finds no regions without phrases")

    def ground(self, image: Image.Image, phrases: Sequence[Sequence[str]]) -> Groundings:
        """Return the best boxes against all phrases. Similarities are logits of the probabilities.

        A phrase's probability is the mean over its prompts, and the objectness of a box its best probability: these
        models have no other.
        """
        prompts = [prompt for each in phrases for prompt in each]
        with torch.inference_mode(), detect_lost_device(self._detector.device):
            found = self._reader.detect(enlarge_tiny(image), prompts)
        probabilities_pn = average_prompts(found.probabilities_qn, phrases)
        regions = Regions(found.boxes_n4, probabilities_pn.max(axis=0))
        return select_best(Groundings(regions, compute_logits(probabilities_pn), probabilities_pn, self._cut(phrases)))

    def _cut(self, phrases: Sequence[Sequence[str]]) -> dict[int, int]:
        return {index: most for index, prompts in enumerate(phrases) if (most := self._reader.find_cut(prompts))}


class CaptionReader:
    """Grounding DINO: all prompts in one caption, "a cat. a red apple.", and a logit for each box and token.

    A caption holds `max_text_len` tokens, 256: some 60 short prompts. More take one pass for each caption.
    """

    def __init__(self, detector: Detector) -> None:
        self._model, self._device = detector.model, detector.device
        self._images, self._tokenizer = detector.processor.image_processor, detector.processor.tokenizer
        self._most = int(detector.model.config.max_text_len) - OUTER_TOKENS
        self._separator = int(self._tokenizer.convert_tokens_to_ids(SEPARATOR))

    def detect(self, image: Image.Image, prompts: Sequence[str]) -> Detections:
        """Return the boxes of all captions; a prompt has probability 0 for those of other captions."""
        pixels = self._images(images=image, return_tensors="pt").to(self._device)
        found = [self._read(pixels, tokens) for tokens in self._split(prompts)]
        total, start = sum(len(each.boxes_n4) for each in found), 0
        probabilities_qn, row = np.zeros((len(prompts), total), np.float32), 0
        for each in found:
            rows, count = each.probabilities_qn.shape
            probabilities_qn[row : row + rows, start : start + count] = each.probabilities_qn
            row, start = row + rows, start + count
        return Detections(np.concatenate([each.boxes_n4 for each in found]), probabilities_qn)

    def find_cut(self, prompts: Sequence[str]) -> int:
        return self._most - 1 if any(len(self._tokens(prompt)) >= self._most for prompt in prompts) else 0

    def _split(self, prompts: Sequence[str]) -> Iterator[list[list[int]]]:
        """The tokens of each prompt, as many prompts as a caption holds."""
        caption: list[list[int]] = []
        room = self._most
        for prompt in prompts:
            tokens = self._tokens(prompt)[: self._most - 1]
            if len(tokens) + 1 > room:
                yield caption
                caption, room = [], self._most
            caption.append(tokens)
            room -= len(tokens) + 1
        yield caption

    def _tokens(self, prompt: str) -> list[int]:
        plain = prompt.strip().lower().replace(SEPARATOR, " ")
        tokens: list[int] = self._tokenizer(plain, add_special_tokens=False, verbose=False).input_ids
        return tokens

    def _read(self, pixels: Any, caption: Sequence[Sequence[int]]) -> Detections:
        """A prompt's probability is the mean over its tokens, as in GLIP and in MMDetection's Grounding DINO."""
        start, end = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        inner = [token for tokens in caption for token in (*tokens, self._separator)]
        ids_1t = torch.tensor([[start, *inner, end]], device=self._device)
        ones, zeros = torch.ones_like(ids_1t), torch.zeros_like(ids_1t)
        found = self._model(**pixels, input_ids=ids_1t, attention_mask=ones, token_type_ids=zeros)
        probabilities_nt = found.logits[0].float().sigmoid().cpu().numpy()
        firsts = 1 + np.cumsum([0, *(len(tokens) + 1 for tokens in caption[:-1])])
        spans = [slice(first, first + len(tokens)) for first, tokens in zip(firsts, caption, strict=True)]
        return Detections(to_corners(found.pred_boxes[0]), np.stack([mean_span(probabilities_nt, s) for s in spans]))


def mean_span(probabilities_nt: ScoreArray, span: slice) -> ScoreArray:
    """Return (N,): the mean over the tokens of a prompt; 0 for a prompt without any, such as "."."""
    if span.start == span.stop:
        return np.zeros(len(probabilities_nt), np.float32)
    means_n: ScoreArray = probabilities_nt[:, span].mean(axis=1)
    return means_n


class ClassReader:
    """OmDet-Turbo: each prompt is a class with a vector of its own, and the task names them all."""

    def __init__(self, detector: Detector) -> None:
        self._model, self._processor, self._device = detector.model, detector.processor, detector.device
        self._context = int(detector.processor.text_kwargs["max_length"])

    def detect(self, image: Image.Image, prompts: Sequence[str]) -> Detections:
        inputs = self._processor(images=image, text=[list(prompts)], return_tensors="pt").to(self._device)
        found = self._model(**inputs)
        logits_nq = found.decoder_class_logits[0][:, : len(prompts)]
        return Detections(to_corners(found.decoder_coord_logits[0]), logits_nq.float().sigmoid().T.cpu().numpy())

    def find_cut(self, prompts: Sequence[str]) -> int:
        lengths = map(len, self._processor.tokenizer(list(prompts), verbose=False).input_ids)
        return self._context if max(lengths) > self._context else 0
