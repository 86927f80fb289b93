"""Boxes of objects, found by the sidecar: `POST /regions`."""

from collections.abc import Sequence

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.errors import InputError, SidecarRefused
from ingest.region_boxes import PlacedBox
from ingest.region_methods import RegionMethod


class SidecarProposer:
    def __init__(self, sidecar: VectorizerClient) -> None:
        self._sidecar = sidecar

    def propose(self, images: Sequence[bytes], limit: int) -> list[Sequence[PlacedBox] | SidecarRefused]:
        raise NotImplementedError


def check_grounder(sidecar: VectorizerClient, method: RegionMethod) -> str:
    raise InputError("objects")
