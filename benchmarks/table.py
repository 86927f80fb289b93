"""Runs the script of every claim, one after the other, and prints their figures as one table.

Missing scripts are skipped. A script that fails is named, and the exit code is then 1.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from benchmarks.common import describe_machine, format_number, format_today

HERE = Path(__file__).parent
SCRIPTS: dict[str, tuple[str, ...]] = {  # with options that keep the whole under 20 minutes on two cores
    "startup.py": (),
    "throughput.py": ("--rounds", "3", "--seconds", "3"),
    "overhead.py": ("--rounds", "2"),
    "memory.py": ("--precision", "fp32"),
    "decode.py": ("--rounds", "2"),
    "teams.py": ("--rounds", "2"),
    "ingest": ("--rounds", "2", "--model-files", "800"),  # fewer show the beginning and the end of a run
    "lookup.py": (),
    "zeroshot": ("--rounds", "1"),
    "search": ("--vectors", "20000", "--quantizer", "rq-8"),
    "gpu.py": (),
}
TIMEOUT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class ScriptResult:
    script: str
    seconds: float
    exit_code: int
    found: dict[str, Any] | None  # content of its --json file


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(SCRIPTS)), help="One script; may be given several times.")
@click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write the table to this file too.")
def main(only: tuple[str, ...], markdown: Path | None) -> None:
    """Run the benchmarks and print one table.

    \b
    Example:
      python benchmarks/table.py --only throughput.py --only overhead.py
    """
    with TemporaryDirectory() as folder:
        names = [name for name in only or SCRIPTS if (HERE / name).exists()]
        runs = [run_script(name, Path(folder) / f"{name}.json") for name in names]
    table = "\n".join(format_table(runs))
    click.echo(f"\n{table}")
    if markdown:
        markdown.write_text(table + "\n")
    sys.exit(any(each.exit_code for each in runs))


def run_script(name: str, file: Path) -> ScriptResult:
    click.echo(f"\n## {name}", err=True)
    start = time.monotonic()
    words = [sys.executable, str(HERE / name), *SCRIPTS[name], "--json", str(file)]
    try:
        code = subprocess.run(words, timeout=TIMEOUT_SECONDS, check=False).returncode
    except subprocess.TimeoutExpired:
        code = 1
    return ScriptResult(name, time.monotonic() - start, code, json.loads(file.read_text()) if file.exists() else None)


def format_table(runs: Sequence[ScriptResult]) -> Iterator[str]:
    yield (
        f"{describe_machine()}, {format_today()}; `make bench`. "
        "Medians, and the spread of the rounds; a ratio is ours / theirs.\n"
    )
    yield "| what | theirs | ours | ratio | wanted | by |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for each in runs:
        yield from (format_row(each.script, figure) for figure in (each.found or {}).get("figures", ()))
    for each in runs:
        for note in (each.found or {}).get("notes", ()):
            yield f"\n{each.script}: {note}"
        state = f"ended with exit code {each.exit_code}" if each.exit_code else "ran"
        yield f"\n{each.script} {state} ({each.seconds:.0f} s)"


def format_row(script: str, figure: dict[str, Any]) -> str:
    theirs = f"{format_spread(figure['theirs'])} ({figure['against']})" if figure.get("theirs") else "-"
    cells = (
        figure["what"],
        theirs,
        format_spread(figure["ours"]),
        format_spread(figure.get("ratio")),
        figure.get("target") or "-",
    )
    return f"| {' | '.join(cells)} | {script} |"


def format_spread(value: dict[str, float] | None) -> str:
    return (
        f"{format_number(value['median'])} ({format_number(value['least'])}-{format_number(value['most'])})"
        if value
        else "-"
    )


if __name__ == "__main__":
    main()
