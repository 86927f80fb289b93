"""Files at addresses, whatever way leads there: the web by httpx, buckets and all else by fsspec."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO

from ingest.sources.addresses import is_web
from ingest.sources.retries import Patience
from ingest.sources.storage import Storage
from ingest.sources.web import Web


@dataclass(frozen=True)
class Far:
    """May be used by many threads at once. What cannot be had raises UnusableFile."""

    storage_options: Mapping[str, str]
    patience: Patience = field(default_factory=Patience)

    def open(self, address: str) -> BinaryIO:
        return self.web.open(address) if is_web(address) else self.storage.open(address)

    def stamp(self, address: str) -> str:
        """Of the file's version; "" when that cannot be known without reading it. Never raises."""
        return self.web.stamp(address) if is_web(address) else self.storage.stamp(address)

    def close(self) -> None:
        """Ends the connections to the web. Those that are left open end with the process."""
        if "web" in self.__dict__:
            self.web.close()

    @cached_property
    def web(self) -> Web:
        return Web(self.patience)

    @cached_property
    def storage(self) -> Storage:
        return Storage(self.storage_options, self.patience)
