"""The steps, wired by Ray Data."""

import logging
import pickle
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from clip_vectorizer.errors import InputError, VectorizerError
from ingest.distributed.connections import open_patiently, patience_of, portable
from ingest.distributed.parts import Part
from ingest.distributed.rows import Packed, Row, unpack
from ingest.distributed.settings import RaySettings
from ingest.distributed.steps import Embed, Write, read_part
from ingest.items import Outcome
from ingest.job import Job
from ingest.pipeline import groups, not_held

ROWS_A_CHECK = 250
CHECKS_AT_ONCE = 8
RETRIES = 3  # of what a worker did not survive; also Ray's own number for readers
# A sidecar decodes beside its model. Not 1 as a reader has: Ray would make one worker of both, and read in no other.
SIDECAR_CPUS = 2


def rows_of(ray: Any, parts: Sequence[Part], job: Job, settings: RaySettings, desk: Any) -> Iterator[Row]:
    """What has become of every group of every part, as it comes."""
    data = ray.data
    configure(data)
    own = bool(settings.model)
    if own:
        refuse_few_cpus(ray.cluster_resources().get("CPU", 0), settings)
    done = (
        data.from_items([{"part": pickle.dumps(part)} for part in parts], override_num_blocks=len(parts))
        .flat_map(read, fn_args=(job,), num_cpus=1)
        .map(
            Embed,
            fn_constructor_args=(job, settings, desk),
            compute=data.ActorPoolStrategy(size=settings.embedders),
            num_cpus=SIDECAR_CPUS if own else 0,
            num_gpus=settings.gpus if own else 0,
        )
        .map(Write, fn_constructor_args=(job,), compute=data.ActorPoolStrategy(size=settings.writers), num_cpus=0)
    )
    return (unpack(packed) for packed in done.iter_rows())


def refuse_few_cpus(cpus: float, settings: RaySettings) -> None:
    """Ray would wait for ever."""
    needed = settings.embedders * SIDECAR_CPUS + 1
    if cpus < needed:
        raise InputError(
            f"Ray has {cpus:.0f} CPUs and needs {needed}: {SIDECAR_CPUS} for the sidecar of each embedder, "
            "and one to read; take fewer embedders, or sidecars that run already"
        )


def configure(data: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Ray, about its own defaults
        context = data.DataContext.get_current()
    # A row is a block, so that a task done again after its worker died makes the same blocks and none is lost or twice:
    # Ray skips as many blocks as it had, whatever is in them.
    context.target_max_block_size = 1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def read(packed: dict[str, bytes], job: Job) -> Iterator[Packed]:
    part = pickle.loads(packed["part"])
    assert isinstance(part, Part)
    return read_part(part, job)


def still_lost(ray: Any, job: Job, sent: Sequence[bytes]) -> list[Outcome]:
    """Of what was sent, what the store does not hold: asked by several workers."""
    check = ray.remote(num_cpus=0, max_retries=RETRIES)(lost_of)
    lost: list[Outcome] = []
    for chunks in groups(groups(sent, ROWS_A_CHECK), CHECKS_AT_ONCE):
        for answer in ray.get([check.remote(job, chunk) for chunk in chunks]):
            if isinstance(answer, VectorizerError):
                raise answer
            lost += answer
    return lost


def lost_of(job: Job, sent: Sequence[bytes]) -> list[Outcome] | VectorizerError:
    with ExitStack() as until:
        try:
            store, patience = open_patiently(job, until), patience_of(job)
            uploaded = [outcome for packed in sent for outcome in pickle.loads(packed)]
            return list(not_held(uploaded, store, patience))
        except VectorizerError as error:
            return portable(error)
