"""Regions of a job: the options to a method, what makes them, and boxes that were not used in the end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.counts import format_count
from clip_vectorizer.database.schema import StoredModel
from clip_vectorizer.errors import InputError, Mismatch, VectorizerError
from clip_vectorizer.images.settings import DecodeSettings
from ingest.choices import MAX_REGIONS, REGION_LIMIT
from ingest.embed import Embedder
from ingest.proposals import SidecarProposer, find_grounder
from ingest.region_methods import RegionKind, RegionMethod, RegionRecipe, parse_method
from ingest.regions import RegionMaker
from ingest.report import IngestReport
from ingest.store.base import ImageStore, NoRegionStore


def parse_regions(values: Mapping[str, Any]) -> RegionMethod | None:
    """Raises InputError for a method that cannot be used, and for a limit where there is nothing to limit."""
    text, limit = values["regions"], values["region_limit"]
    if text is None:
        return None
    default = MAX_REGIONS if text.startswith(str(RegionKind.BOXES)) else REGION_LIMIT
    method = parse_method(text, limit or default)
    if limit and method.kind in (RegionKind.NONE, RegionKind.GRID, RegionKind.CORNERS):
        raise InputError(f"--region-limit: --regions {text} has no regions to choose from; remove it")
    return method


def find_box_field(text: str | None) -> str | None:
    """The field of photo.json that has boxes, None if none is read."""
    return parse_method(text, REGION_LIMIT).field or None if text else None


@dataclass(frozen=True, slots=True)
class RegionTarget:
    """The collection of images, its store, and whether nothing is to be written."""

    collection: str
    store: ImageStore
    dry_run: bool


def build_region_maker(
    method: RegionMethod,
    target: RegionTarget,
    sidecar: VectorizerClient | None,
    embedder: Embedder | None,
    decode: DecodeSettings,
) -> RegionMaker:
    """Raises InputError where the sidecar cannot find regions in this way, Mismatch where it runs another model."""
    grounder = find_grounder(sidecar, method) if sidecar and method.is_proposal else None
    store = target.store
    if sidecar and not store.model.agrees_with(info := sidecar.meta()):
        raise Mismatch(
            f"the sidecar at {sidecar.url} runs {StoredModel.of(info)}, and the images of {target.collection} have "
            f"vectors of {store.model}; regions need the same: name its sidecar with --vectorizer-url"
        )
    born = store.regions.born if store.regions else ""
    recipe = RegionRecipe.build(method, store.model, born, grounder.revision if grounder else "")
    return RegionMaker(
        recipe,
        NoRegionStore() if target.dry_run or store.regions is None else store.regions,
        embedder,
        SidecarProposer(sidecar, grounder, method.kind is RegionKind.OWLV2)
        if sidecar and grounder and embedder
        else None,
        decode,
    )


def report_unused_boxes(
    regions: RegionMaker,
    sources: Sequence[str],
    report: IngestReport,
    listener: Callable[[IngestReport, object], None],
) -> None:
    """Warn of boxes whose images were not in the sources."""
    box_file = regions.recipe.box_file
    if box_file is None:
        return
    unused = box_file.list_unused()
    report.unused_boxes = box_file.count_unused()
    if unused:
        boxes = "1 box" if report.unused_boxes == 1 else f"{report.unused_boxes} boxes"
        sentence = (
            f"{box_file.name} has {boxes} of {format_count(len(unused), 'image')} not in {', '.join(sources)}, "
            f"for example {unused[0]}; not used"
        )
        listener(report, VectorizerError(sentence))
