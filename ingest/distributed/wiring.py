"""Connect the steps with Ray Data, and verify in parallel what was stored."""

import logging
import pickle
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from clip_vectorizer.errors import InputError, VectorizerError
from ingest.distributed.cluster import RaySettings
from ingest.distributed.connections import build_patience, make_picklable, open_store_with_retries
from ingest.distributed.parts import SourcePart
from ingest.distributed.steps import EmbedStep, ItemBatch, PackedBatch, WriteStep, read_part, unpack_batch
from ingest.items import ItemOutcome
from ingest.job import IngestJob
from ingest.pipeline import find_missing, split_groups

BATCHES_PER_CHECK = 250
CONCURRENT_CHECKS = 8
MAX_RETRIES = 3  # of tasks whose worker died; also Ray's default for readers
# A sidecar decodes while its model runs. Not 1 as for a reader: Ray would fuse both, and read in no other worker.
SIDECAR_CPUS = 2


def run_steps(
    ray: Any, parts: Sequence[SourcePart], job: IngestJob, settings: RaySettings, actor: Any
) -> Iterator[ItemBatch]:
    """Yield the result of each batch of all parts, as it comes."""
    data = ray.data
    configure_ray_data(data)
    own = bool(settings.model)
    if own:
        check_cpus(ray.cluster_resources().get("CPU", 0), settings)
    done = (
        data.from_items([{"part": pickle.dumps(part)} for part in parts], override_num_blocks=len(parts))
        .flat_map(read_packed_part, fn_args=(job,), num_cpus=1)
        .map(
            EmbedStep,
            fn_constructor_args=(job, settings, actor),
            compute=data.ActorPoolStrategy(size=settings.embedders),
            num_cpus=SIDECAR_CPUS if own else 0,
            num_gpus=settings.gpus if own else 0,
        )
        .map(WriteStep, fn_constructor_args=(job,), compute=data.ActorPoolStrategy(size=settings.writers), num_cpus=0)
    )
    return (unpack_batch(packed) for packed in done.iter_rows())


def check_cpus(cpus: float, settings: RaySettings) -> None:
    """Raise InputError if the cluster has too few CPUs: Ray would wait for ever."""
    needed = settings.embedders * SIDECAR_CPUS + 1
    if cpus < needed:
        raise InputError(
            f"Ray has {cpus:.0f} CPUs and needs {needed}: {SIDECAR_CPUS} for the sidecar of each embedder, "
            "and one to read; take fewer embedders, or sidecars that run already"
        )


def configure_ray_data(data: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Ray, about its own defaults
        context = data.DataContext.get_current()
    # Each batch is a block, so that a task repeated after its worker died makes the same blocks, and none is lost or
    # doubled: Ray skips as many blocks as it had, whatever they contain.
    context.target_max_block_size = 1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def read_packed_part(packed: dict[str, bytes], job: IngestJob) -> Iterator[PackedBatch]:
    part = pickle.loads(packed["part"])
    assert isinstance(part, SourcePart)
    return read_part(part, job)


def find_lost(ray: Any, job: IngestJob, sent: Sequence[bytes]) -> list[ItemOutcome]:
    """Return the uploads that the store does not hold, checked by several workers."""
    check = ray.remote(num_cpus=0, max_retries=MAX_RETRIES)(find_lost_in_worker)
    lost: list[ItemOutcome] = []
    for chunks in split_groups(split_groups(sent, BATCHES_PER_CHECK), CONCURRENT_CHECKS):
        for answer in ray.get([check.remote(job, chunk) for chunk in chunks]):
            if isinstance(answer, VectorizerError):
                raise answer
            lost += answer
    return lost


def find_lost_in_worker(job: IngestJob, sent: Sequence[bytes]) -> list[ItemOutcome] | VectorizerError:
    with ExitStack() as stack:
        try:
            store, patience = open_store_with_retries(job, stack), build_patience(job)
            uploaded = [outcome for packed in sent for outcome in pickle.loads(packed)]
            return list(find_missing(uploaded, store, patience))
        except VectorizerError as error:
            return make_picklable(error)
