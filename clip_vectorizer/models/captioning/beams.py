"""The beam search of CoCa, token for token that of open_clip's `CoCa.generate` with its defaults.

open_clip's own needs BeamSearchScorer, which transformers 5 no longer has (mlfoundations/open_clip#1129). Its six beams
are three groups of two; without a penalty between groups all three find the same, so here are two beams. As there, a
beam's score is the sum of its logits, divided by its length, the end included, once it is finished: no softmax.

R rows, those of all beams · L tokens so far · V words of the vocabulary
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

# Tokens (R, L) and the picture of each row to logits (R, V) of the next token.
NextLogits = Callable[[Tensor, Sequence[int]], Tensor]
NEVER = -1e9  # score of a beam that has not begun


@dataclass(frozen=True, slots=True)
class BeamRules:
    """The defaults of `CoCa.generate`. Tokens count the start and the end."""

    start: int
    end: int
    beams: int = 2
    least_tokens: int = 5
    most_tokens: int = 30


@dataclass(slots=True)
class PictureBeams:
    """The beams of one picture: those that grow, and the best finished ones."""

    rules: BeamRules
    rows: list[list[int]]  # tokens of each beam
    scores: list[float]
    finished: list[tuple[float, list[int]]] = field(default_factory=list)  # score a token, tokens
    settled: bool = False  # no beam can become better than the worst finished one

    @property
    def done(self) -> bool:
        return self.settled or len(self.rows[0]) >= self.rules.most_tokens

    @classmethod
    def begin(cls, rules: BeamRules) -> "PictureBeams":
        return cls(rules, [[rules.start]] * rules.beams, [0.0, *[NEVER] * (rules.beams - 1)])

    def grow(self, logits_bv: Tensor) -> None:
        """Take the best next tokens; a beam that ends is finished if it is among the best."""
        values, places = (logits_bv + torch.tensor(self.scores)[:, None]).flatten().topk(2 * self.rules.beams)
        before, rows, scores = len(self.rows[0]), list[list[int]](), list[float]()
        for rank, (score, place) in enumerate(zip(values.tolist(), places.tolist(), strict=True)):
            beam, token = divmod(place, logits_bv.shape[1])
            if token != self.rules.end:
                rows.append([*self.rows[beam], token])
                scores.append(score)
            elif rank < self.rules.beams:
                self.finish(self.rows[beam], score / (before + 1))
            if len(rows) == self.rules.beams:
                break
        self.rows, self.scores = rows, scores
        attainable = float(values[0]) / (before + 1)
        self.settled = len(self.finished) == self.rules.beams and self.finished[-1][0] >= attainable

    def finish(self, tokens: list[int], score: float) -> None:
        """Keep it if its score a token is better than the worst of the finished ones. Of equal ones the first stays."""
        self.finished.append((score, tokens))
        self.finished.sort(key=lambda each: -each[0])
        del self.finished[self.rules.beams :]

    def best(self) -> list[int]:
        """The tokens of the best beam, without start and end. Beams that reached the limit compete too."""
        if not self.settled:
            for tokens, score in zip(self.rows, self.scores, strict=True):
                self.finish(tokens, score / len(tokens))
        return max(self.finished, key=lambda each: each[0])[1][1:]


def search_beams(next_logits: NextLogits, pictures: int, rules: BeamRules) -> list[list[int]]:
    """The best tokens for each of `pictures`, without start and end."""
    beams = [PictureBeams.begin(rules) for _ in range(pictures)]
    while growing := [index for index, each in enumerate(beams) if not each.done]:
        rows = [row for index in growing for row in beams[index].rows]
        owners = [index for index in growing for _ in beams[index].rows]
        logits_rv = next_logits(torch.tensor(rows), owners).float().cpu()
        if len(rows[0]) < rules.least_tokens:
            logits_rv[:, rules.end] = -torch.inf
        for index, logits_bv in zip(growing, logits_rv.reshape(len(growing), rules.beams, -1), strict=True):
            beams[index].grow(logits_bv)
    return [each.best() for each in beams]
