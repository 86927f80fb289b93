"""Files at addresses, whatever way leads there: the web by httpx, buckets and all else by fsspec."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO

from ingest.retry import RetryPolicy
from ingest.sources.http import HttpTransport
from ingest.sources.storage import StorageTransport
from ingest.sources.urls import is_http


@dataclass(frozen=True)
class Transport:
    """May be used by many threads at once. What cannot be had raises UnusableFile."""

    storage_options: Mapping[str, str]
    patience: RetryPolicy = field(default_factory=RetryPolicy)

    def open(self, address: str) -> BinaryIO:
        return self.web.open(address) if is_http(address) else self.storage.open(address)

    def stamp(self, address: str) -> str:
        """Of the file's version; "" when that cannot be known without reading it. Never raises."""
        return self.web.stamp(address) if is_http(address) else self.storage.stamp(address)

    def close(self) -> None:
        """Ends the connections to the web. Those that are left open end with the process."""
        if "web" in self.__dict__:
            self.web.close()

    @cached_property
    def web(self) -> HttpTransport:
        return HttpTransport(self.patience)

    @cached_property
    def storage(self) -> StorageTransport:
        return StorageTransport(self.storage_options, self.patience)
