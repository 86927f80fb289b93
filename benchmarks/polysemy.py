"""Words with two meanings: what descriptions are worth, on drawings.

    python benchmarks/polysemy.py

One label a word: the bare word, its prompts, and its descriptions, as a mean of them all or each for itself, the
nearest counting. One label a meaning: the bare word is the same text twice, so it can only guess between the two. The
descriptions were changed once, after a look at all results; no picture was taken out. The bundled model learned from
the drawings of emojione, and never saw those of OpenMoji: the last line has each apart.
"""

from pathlib import Path

import click
import numpy as np

from benchmarks.adapting import format_gain, print_row
from benchmarks.common import Report
from benchmarks.servers import start_own_server
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.query.evaluation.statistics import BooleanArray
from clip_vectorizer.query.labels.label_store import build_prompts, parse_label
from clip_vectorizer.query.prompts import select_prompt_set
from clip_vectorizer.vectors import Vectors, ensemble

PICTURES = Path(__file__).parents[1] / "examples" / "polysemy"
PROMPTS = ("word", "drawing-7")


class Meanings:
    """N pictures; their words, and which of the two meanings each shows."""

    def __init__(self, client: VectorizerClient) -> None:
        self.client = client
        self.files = sorted(PICTURES.rglob("*.png"))
        self.images_nd = client.embed_images([file.read_bytes() for file in self.files])
        self.words = dict(format_meanings("labels.txt"))
        self.folders = dict(format_meanings("meanings.txt"))
        self.folder_n = np.array([list(self.folders).index(file.parent.name) for file in self.files])
        names = list(self.words)
        self.word_of_folder = np.array([names.index(folder.split(" (")[0]) for folder in self.folders])
        self.word_n = self.word_of_folder[self.folder_n]

    def vector(self, prompts: str, text: str, *descriptions: str) -> Vectors:
        return ensemble(self.client.embed_texts(build_prompts(select_prompt_set(prompts), text, descriptions)))

    def by_word(self, prompts: str) -> dict[str, BooleanArray]:
        """Right or not, for each picture."""
        bare = np.stack([self.vector(prompts, word) for word in self.words])
        mean = np.stack([self.vector(prompts, word, *each) for word, each in self.words.items()])
        apart = [np.stack([self.vector(prompts, one) for one in each]) for each in self.words.values()]
        nearest_nl = np.stack([(self.images_nd @ vectors.T).max(axis=1) for vectors in apart], axis=1)
        return {
            "word": (self.images_nd @ bare.T).argmax(axis=1) == self.word_n,
            "descriptions, mean": (self.images_nd @ mean.T).argmax(axis=1) == self.word_n,
            "descriptions, nearest": nearest_nl.argmax(axis=1) == self.word_n,
        }

    def by_meaning(self, prompts: str) -> dict[str, BooleanArray]:
        labels = np.stack([self.vector(prompts, name, *each) for name, each in self.folders.items()])
        cosines_nl = self.images_nd @ labels.T
        within = np.where(self.word_of_folder == self.word_n[:, None], cosines_nl, -np.inf)
        return {
            "one label a meaning, among all 20": cosines_nl.argmax(axis=1) == self.folder_n,
            "one label a meaning, its word known": within.argmax(axis=1) == self.folder_n,
        }


def format_meanings(name: str) -> list[tuple[str, tuple[str, ...]]]:
    return [parse_label(line) for line in (PICTURES / name).read_text(encoding="utf-8").splitlines()]


@click.command()
def main() -> None:
    """Start a sidecar with the bundled model, embed examples/polysemy, and print the table. About 20 seconds."""
    report = Report("Words with two meanings: bare against described")
    report.begin()
    with start_own_server("fp32", model="emoji") as server, VectorizerClient(server.url) as client:
        meanings = Meanings(client)
        report.note(f"{len(meanings.files)} pictures of {len(meanings.words)} words; chance 0.100 by word")
        bare = meanings.by_word("word")["word"]
        for prompts in PROMPTS:
            found = meanings.by_word(prompts)
            for name, right_n in found.items():
                report.note(
                    f"{prompts:9} {name:36} {print_row(right_n)}   over the bare word {format_gain(right_n, bare)}"
                )
            nearer = format_gain(found["descriptions, nearest"], found["descriptions, mean"])
            report.note(f"{prompts:9} nearest over mean {nearer}")
            for name, right_n in meanings.by_meaning(prompts).items():
                report.note(f"{prompts:9} {name:36} {print_row(right_n)}")
        report.note("chance: 0.050 among all 20; 0.500 where the word is known, which is all that a bare word can do")
        report.note(measure_art_sets(meanings))


def measure_art_sets(meanings: Meanings) -> str:
    found = meanings.by_word("word")
    parts = []
    for art in ("openmoji", "emojione"):
        of_art = np.array([file.stem.endswith(art) for file in meanings.files])
        shares = ", ".join(f"{name} {right_n[of_art].mean():.3f}" for name, right_n in found.items())
        parts.append(f"{art} ({of_art.sum()} pictures): {shares}")
    return "; ".join(parts)


if __name__ == "__main__":
    main()
