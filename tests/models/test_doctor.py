import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from clip_vectorizer.cli import main
from clip_vectorizer.models.doctor import (
    GIB,
    INSTRUCTIONS,
    WIDTH,
    DoctorLoad,
    Gpu,
    Machine,
    describe_machine,
    format_fact,
    format_verdict,
    inspect_machine,
    measure_encoder,
    read_processor_name,
)
from tests.fakes import INFO, HashEncoder

PRECISIONS = ("fp32", "bf16")
PLAIN = Machine(
    software="python 3.11.7, torch 2.9.0, x86_64",
    processor="Some Processor",
    installed_cores=8,
    allowed_cores=8,
    quota_cores=None,
    usable_cores=8,
    instructions=("avx2",),
    gpus=(),
    cuda_build=None,
    decoders=("jpg 6.2", "webp 1.6.0"),
    jpeg="3.2.0",
)
AMX = replace(PLAIN, instructions=("avx2", "avx512_f", "avx512_bf16", "amx_bf16"))
CARD = Gpu("NVIDIA H100 80GB HBM3", 70 * GIB, 80 * GIB, bf16=True)
WITH_GPU = replace(PLAIN, gpus=(CARD,), cuda_build="13.2")
ON_GPU, SLOW, QUICK = replace(INFO, device="cuda:0"), 20.0, 900.0


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def text(lines: Iterator[str] | list[str]) -> str:
    return " ".join(" ".join(line.split()) for line in lines)


def judged(machine: Machine, info: object = INFO, images: float = SLOW) -> str:
    return text(format_verdict(machine, info, PRECISIONS, images))


def test_the_command_fits_80_columns_measures_and_ends_with_a_verdict() -> None:
    done = CliRunner().invoke(main, ["doctor", "--model", "emoji", "--seconds", "0.1", "--max-batch", "2"])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stdout.splitlines() if line]
    assert max(map(len, lines)) <= WIDTH
    labels = [line[:13].strip() for line in lines]
    for label in ("processor", "instructions", "gpu", "jpeg", "model", "read", "batch of 1", "batch of 2"):
        assert label in labels
    assert [label for label in labels if label][-1] == "verdict"
    assert "emoji on cpu, fp32" in text(lines)


@pytest.mark.parametrize("machine", [PLAIN, AMX, replace(WITH_GPU, gpus=(CARD,) * 8), inspect_machine()])
def test_every_machine_fits_80_columns(machine: Machine) -> None:
    crowded = replace(machine, instructions=tuple(INSTRUCTIONS))
    for line in [
        *describe_machine(machine),
        *describe_machine(crowded),
        *format_verdict(crowded, INFO, PRECISIONS, SLOW),
    ]:
        assert len(line) <= WIDTH


def test_a_quota_and_an_affinity_are_shown() -> None:
    assert "8 cores" in text(describe_machine(PLAIN))
    limited = replace(PLAIN, installed_cores=64, allowed_cores=16, quota_cores=2.5, usable_cores=2)
    assert "2 of 64 cores usable (16 allowed, a quota of 2.5)" in text(describe_machine(limited))


def test_instructions_show_the_precisions_they_accelerate() -> None:
    assert "AVX2: no precision but fp32 in hardware" in text(describe_machine(PLAIN))
    assert "AMX bf16: bf16 in hardware" in text(describe_machine(AMX))
    vnni = replace(PLAIN, instructions=("avx512_vnni", "amx_bf16"))
    assert "bf16 and int8 in hardware" in text(describe_machine(vnni))


def test_a_gpu_is_shown_with_its_memory() -> None:
    assert "cuda:0 NVIDIA H100 80GB HBM3, 70.0 of 80.0 GiB free, bf16 in hardware" in text(describe_machine(WITH_GPU))
    assert "built for CUDA 13.2" in text(describe_machine(replace(PLAIN, cuda_build="13.2")))
    assert "built for CPUs" in text(describe_machine(PLAIN))


@pytest.mark.parametrize(
    ("machine", "info", "way_out"),
    [
        (WITH_GPU, INFO, "--device cuda --precision bf16"),
        (WITH_GPU, ON_GPU, "--precision bf16"),
        (PLAIN, replace(INFO, precision="bf16"), "--precision fp32"),
        (AMX, INFO, "try --precision bf16"),
        (replace(PLAIN, jpeg=""), INFO, "install Pillow from its wheel"),
        (replace(PLAIN, decoders=("jpg 6.2", "webp missing", "avif missing")), INFO, "no webp and no avif files"),
    ],
)
def test_the_verdict_names_the_bottleneck_and_the_option_to_change(
    machine: Machine, info: object, way_out: str
) -> None:
    assert way_out in judged(machine, info)


def test_more_threads_than_cores_are_reported() -> None:
    torch.set_num_threads(2)
    assert "--threads 1" in judged(replace(PLAIN, usable_cores=1))


def test_a_good_machine_has_no_bottleneck() -> None:
    for machine, info in [(PLAIN, INFO), (WITH_GPU, replace(ON_GPU, precision="bf16")), (AMX, ON_GPU)]:
        assert "no bottleneck found" in judged(machine, info)
    assert "no bottleneck" in judged(AMX, INFO, QUICK)  # a small model needs no other precision


def test_int8_is_suggested_only_where_it_can_be_chosen() -> None:
    vnni = replace(PLAIN, instructions=("avx512_vnni",))
    assert "no bottleneck" in judged(vnni)
    assert "--precision int8" in text(format_verdict(vnni, INFO, (*PRECISIONS, "int8"), SLOW))


def test_files_are_read_by_the_given_function() -> None:
    seen: list[bytes] = []
    lines = list(measure_encoder(PLAIN, HashEncoder(), seen.append, DoctorLoad(batch=1, seconds=0.01), PRECISIONS))
    assert {Image.open(io.BytesIO(file)).size for file in seen} == {(640, 480), (4000, 3000)}
    assert "JPEG of 4000 x 3000" in text(lines)


def test_long_facts_go_on_under_their_own_column() -> None:
    lines = format_fact("label", "word " * 40)
    assert all(len(line) <= WIDTH for line in lines)
    assert all(line.startswith(" " * 14 + "word") for line in lines[1:])


def test_a_processor_without_a_name_has_none(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    assert read_processor_name(file) == ""
    file.write_text("processor\t: 0\nmodel name\t: A CPU\nmodel name\t: A CPU\n")
    assert read_processor_name(file) == "A CPU"
