"""The benchmark of models of their real size, with the smallest model that there is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.common import Spread
from benchmarks.real_size import UNITS, count_parameters, format_table, make_texts, read_memory, reset_peak
from tests.documents import REPOSITORY

MIB = 1 << 20
SECONDS = 300


def run_benchmark(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "benchmarks" / "real_size.py"), *words],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_every_figure_of_a_served_model_is_measured_and_in_the_table(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    ran = run_benchmark("--model", "emoji", "--rounds", "1", "--seconds", "1", "--json", str(file))
    assert ran.returncode == 0, ran.stderr
    row = ran.stdout.splitlines()[-1]
    assert row.startswith("| emoji | ")
    assert row.count("|") == len(UNITS) + 3
    found = {
        each["what"].partition(", ")[0]: each["ours"]["median"] for each in json.loads(file.read_text())["figures"]
    }
    assert list(found) == list(UNITS)
    assert min(found.values()) > 0
    assert found["peak memory under load"] >= 0.9 * found["memory after start"]


def test_a_model_without_a_row_in_the_table_of_models_is_refused_before_any_server_starts() -> None:
    ran = run_benchmark("--model", "emojis")
    assert ran.returncode == 2
    assert "expected ARCHITECTURE::random" in ran.stderr


def test_parameters_are_those_of_the_table_of_models() -> None:
    assert round(count_parameters("ViT-L-14::random") / 1e6) == 428
    assert count_parameters("emoji") < 12e6


HOLDER = """
import sys
for line in sys.stdin:
    held = None
    held = b"x" * (int(line) << 20)
    print(len(held), flush=True)
"""


def test_a_peak_is_counted_from_where_it_was_reset() -> None:
    """In a small process of its own: of a large one the kernel may take memory back meanwhile."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        hold(holder, 200)
        assert read_memory(holder.pid, "VmHWM") >= read_memory(holder.pid, "VmRSS") > 200
        hold(holder, 0)
        reset_peak(holder.pid)
        before = read_memory(holder.pid, "VmHWM")
        hold(holder, 100)
        assert 80 < read_memory(holder.pid, "VmHWM") - before < 150
        holder.communicate()


def hold(holder: "subprocess.Popen[str]", mebibytes: int) -> None:
    assert holder.stdin and holder.stdout
    holder.stdin.write(f"{mebibytes}\n")
    holder.stdin.flush()
    assert int(holder.stdout.readline()) == mebibytes * MIB


def test_a_field_that_the_kernel_does_not_have_is_named() -> None:
    with pytest.raises(RuntimeError, match="VmNothing"):
        read_memory(os.getpid(), "VmNothing")


def test_no_two_texts_are_equal() -> None:
    texts = make_texts()
    made = [next(texts) for _ in range(2000)]
    assert len(set(made)) == len(made)


def test_the_table_has_a_row_for_each_model() -> None:
    values = {what: Spread(2.0, 1.0, 3.0, 3) for what in UNITS}
    head, line, *rows = format_table({"one": values, "two": values}, {"one": 10**9, "two": 5 * 10**6})
    assert head.count("|") == line.count("|") == rows[0].count("|") == len(UNITS) + 3
    assert rows[0].startswith("| one | 1000 | 2 (1-3) |")
    assert rows[1].startswith("| two | 5 | 2 (1-3) |")
