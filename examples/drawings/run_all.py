"""All of docs/drawings.md from nothing: a corpus, its pages in a real Weaviate, kinds, searches, SimCLR, the table.

    make drawings
    make drawings PAGES=4500 STEPS=400

Weaviate and the sidecars are private ones on loopback and end with this command; with WEAVIATE_URL set, that Weaviate
is used, with the sidecar at VECTORIZER_URL. What is there of an earlier run is used again. Hits and tables go to
stdout, everything else to stderr.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click
import pypdfium2

from clip_vectorizer.cli_common import ExitCodeCommand
from clip_vectorizer.progress import StepDisplay, format_duration
from examples.drawings.make_corpus import FEWEST_PAGES, LIST, CorpusPage, describe, make_corpus, read_corpus
from ingest.demo.places import BUNDLED_MODEL, Endpoints, choose_data_dir, read_environment_endpoints
from ingest.demo.places import read_stack_endpoints as read_endpoints
from ingest.embedded import LocalSidecar, LocalStack
from ingest.embedded.binary import get_cache_dir

SEED = 1
SHOTS = 4  # of each kind, of the training pages
HITS = 5
EVALUATED = 400  # pages of each split and column, at most: as in the table of the page
LIBRARY = "library"  # what is stored
RANDOM_MODEL, MODEL = "random-model", "pages-model"
MODEL_FILE, CHECKPOINT = "image_only_config.json", Path("training") / "checkpoint.pt"
DRAWING, TRAIN, TEST = "drawing", "train", "test"


@dataclass(frozen=True, slots=True)
class DrawingsRun:
    """One run: its folder, and the stack that it uses."""

    folder: Path
    steps: int
    endpoints: Endpoints

    @property
    def model(self) -> str:
        return f"{MODEL}-{self.steps}"

    @property
    def collection(self) -> str:
        """One for each model: a collection has the vectors of one model beside those of its CLIP."""
        return f"Drawings{self.steps}"

    @property
    def environment(self) -> dict[str, str]:
        names = ("WEAVIATE_URL", "WEAVIATE_GRPC_PORT", "WEAVIATE_API_KEY", "VECTORIZER_URL")
        here = self.endpoints
        values = (here.weaviate_url, str(here.grpc_port), here.api_key or "", here.vectorizer_url)
        return {**os.environ, **dict(zip(names, values, strict=True))}

    def run(self, step: str, *words: str, capture: bool = False) -> str:
        """Run a command in the folder, and return its output if it is captured. Exit with its code if it fails."""
        click.echo(f"$ {shlex.join(words)}", err=True)
        sys.stdout.flush()
        command = [str(Path(sysconfig.get_path("scripts")) / words[0]), *words[1:]]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE if capture else None
        )
        if done.returncode != 0:
            stop(step, words[0], done.returncode, self.folder)
        return done.stdout or ""

    def run_here(self, step: str, *words: str, capture: bool = False) -> str:
        return self.run(step, *words, "--collection", self.collection, capture=capture)


def stop(step: str, command: str, code: int, folder: Path) -> NoReturn:
    """Name the step that failed, with the way out, and exit: every `with` stops its child."""
    click.echo(
        f"error: the step '{step}' failed: {command} ended with {code}, and its lines above say why. Run the same line "
        f"again: what was done is kept. To begin anew, remove {folder}",
        err=True,
    )
    sys.exit(code)


@click.command(cls=ExitCodeCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--pages", type=click.IntRange(FEWEST_PAGES), default=400, show_default=True, help="Of the corpus.")
@click.option("--steps", type=click.IntRange(1), default=50, show_default=True, help="Of SimCLR, of 128 pages each.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    show_default="in the cache folder, by --pages",
    help="Where everything is kept: corpus, data of Weaviate, models, pages as they were looked at.",
)
def main(pages: int, steps: int, folder: Path | None) -> None:
    """Find technical drawings among pages, from nothing to the table of figures. Private servers, loopback only.

    \b
    Example:
      python -m examples.drawings.run_all --pages 400 --steps 50
    """
    signal.signal(signal.SIGTERM, exit_on_signal)
    began = time.monotonic()
    folder = (folder or get_cache_dir() / "drawings" / f"{pages}-pages").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    lines = build_corpus(folder / "corpus", pages)
    with open_endpoints(folder) as endpoints:
        run = DrawingsRun(folder, steps, endpoints)
        bring_in(run, lines)
        query = choose_query(lines)
        search_pages(run, query)
        train(run)
        search_beside(run, query)
    show_table(run)
    click.echo(f"all of it took {format_duration(time.monotonic() - began)}; it is kept in {folder}", err=True)


def exit_on_signal(*_: object) -> NoReturn:
    sys.exit(143)  # raises SystemExit, so every `with` stops its child


@contextmanager
def open_endpoints(folder: Path) -> Iterator[Endpoints]:
    """Yield those of the environment, else of a private Weaviate and sidecar with their data in the folder."""
    if named := read_environment_endpoints(os.environ):
        yield named
        return
    with ExitStack() as resources:
        with StepDisplay() as progress:
            data = folder / choose_data_dir(BUNDLED_MODEL, os.environ).name  # never with vectors of other weights
            stack = resources.enter_context(LocalStack(BUNDLED_MODEL, data, progress))
        yield read_endpoints(stack)


def build_corpus(folder: Path, pages: int) -> list[CorpusPage]:
    if not (folder / LIST).exists():  # written last
        print_step(f"a corpus of {pages} pages")
        make_corpus(folder, pages, SEED)
    lines = read_corpus(folder)
    click.echo(describe(lines), err=True)
    return lines


def print_step(sentence: str) -> None:
    click.secho(f"\n{sentence}", err=True, bold=True)


def print_title(sentence: str) -> None:
    """Print a heading on stdout, above what a command prints there."""
    click.echo(f"\n{sentence}")


def bring_in(run: DrawingsRun, lines: Sequence[CorpusPage]) -> None:
    """Store the test pages with their corners, and give each a kind by some training pages of each."""
    step = "the test pages and their corners, into Weaviate"
    print_step(step)
    fill_library(run.folder, lines)
    run.run_here(step, "clip-ingest", LIBRARY, "--regions", "corners", capture=True)
    step = f"kinds of pages, by {SHOTS} training pages of each"
    print_step(step)
    few_shot = ("--few-shot", "label", "--shots", str(SHOTS))
    rows = run.run_here(step, "clip-classify", "--label-set", "page-kinds", *few_shot, "--save", "--json", capture=True)
    print_title(count_right({row["path"]: row["label"] for row in map(json.loads, rows.splitlines())}, lines))


def fill_library(folder: Path, lines: Sequence[CorpusPage]) -> None:
    """Copy the test pages to library/test, and single training pages to library/KIND: the folder becomes the label."""
    for path in {line.path for line in lines if line.split == TEST}:
        copy_once(folder / "corpus" / path, folder / LIBRARY / path)
    taken: Counter[str] = Counter()
    for line in lines:
        if line.split == TRAIN and taken[line.kind] < SHOTS:
            taken[line.kind] += 1
            target = folder / LIBRARY / line.kind / f"{taken[line.kind]}.pdf"
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                write_page(folder / "corpus" / line.path, line.page, target)


def copy_once(source: Path, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def write_page(source: Path, number: int, target: Path) -> None:
    with pypdfium2.PdfDocument(source) as opened, pypdfium2.PdfDocument.new() as page:
        page.import_pages(opened, [number - 1])
        page.save(target)


def count_right(kinds: dict[str, str], lines: Sequence[CorpusPage]) -> str:
    """A sentence: how many test pages got their kind, and of the drawings, how many are found and are drawings."""
    truth = {f"{line.path}#page={line.page}": line.kind for line in lines if line.split == TEST}
    right = sum(kinds.get(name) == kind for name, kind in truth.items())
    called = {name for name in truth if kinds.get(name) == DRAWING}
    drawings = {name for name, kind in truth.items() if kind == DRAWING}
    return (
        f"kinds: {right} of {len(truth)} test pages are right; {len(called)} are called drawings, of which "
        f"{len(called & drawings)} are, of {len(drawings)}"
    )


def choose_query(lines: Sequence[CorpusPage]) -> str:
    """A test page: the first drawing, if possible not scanned, of the organisation with most files."""
    drawings = [line for line in lines if line.split == TEST and line.kind == DRAWING and line.organisation]
    files = Counter(organisation for _, organisation in {(line.path, line.organisation) for line in drawings})
    best = min(drawings, key=lambda line: (-files[line.organisation], line.scan, line.path, line.page))
    return f"{best.path}#page={best.page}"


def search_pages(run: DrawingsRun, query: str) -> None:
    step = "searches"
    print_step(step)
    like = ("clip-search", "--like", query, "--limit", str(HITS), "--where", f"label={TEST}")
    print_title(f"drawings like {query}, by {BUNDLED_MODEL}:")
    run.run_here(step, *like, "--where", f"predicted_label={DRAWING}")
    print_title(f"the title block of {query}; files are named for their organisation:")
    run.run_here(step, *like, "--regions", "corner:bottom-right")


def train(run: DrawingsRun) -> None:
    """Train SimCLR, and write the network with the random weights that it begins with; each only once."""
    for name, steps in ((RANDOM_MODEL, 0), (run.model, run.steps)):
        step = f"SimCLR, {steps} steps" if steps else "the same network with random weights"
        folder = run.folder / name
        if (folder / MODEL_FILE).exists():  # written last
            continue
        print_step(step)
        resume = ["--resume"] if (folder / CHECKPOINT).exists() else []
        if folder.exists() and not resume:
            shutil.rmtree(folder)  # a training that ended before its first checkpoint
        words = ("clip-vectorizer", "train", "simclr", "corpus/train", "--output", name, "--steps", str(steps))
        run.run(step, *words, *(["--work", "drawn"] if steps else []), *resume, capture=True)


def search_beside(run: DrawingsRun, query: str) -> None:
    """Store the vectors of SimCLR beside those of the CLIP, and search by them."""
    step = "vectors of SimCLR beside those of the CLIP"
    print_step(step)
    with LocalSidecar(f"local-dir:{run.folder / run.model}") as sidecar:
        by_model = ("--vectorizer-url", sidecar.url)
        run.run_here(step, "clip-ingest", LIBRARY, "--reindex", "--beside", *by_model, capture=True)
        print_title(f"drawings like {query}, by SimCLR:")
        where = ("--where", f"label={TEST}", "--where", f"predicted_label={DRAWING}")
        run.run_here(step, "clip-search", "--like", query, "--limit", str(HITS), *where, *by_model)


def show_table(run: DrawingsRun) -> None:
    """Print the figures of the three models, on the pages that none of them learned from."""
    step = "the experiment"
    print_step(step)
    models = (BUNDLED_MODEL, *(f"local-dir:{name}" for name in (RANDOM_MODEL, run.model)))
    print_title("")
    run.run(step, "clip-eval", "--pages", "corpus", *models, "--limit", str(EVALUATED), "--cache", "looked-at")


if __name__ == "__main__":
    main()
