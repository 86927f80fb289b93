"""Files at URLs: HTTP by httpx, buckets and everything else by fsspec."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO, Self

from clip_vectorizer.address_guard import PUBLIC_ONLY, AddressGuard
from ingest.retry import RetryPolicy
from ingest.sources.base import SourceOptions
from ingest.sources.http import HttpTransport
from ingest.sources.storage import StorageTransport
from ingest.sources.urls import is_http


@dataclass(frozen=True)
class Transport:
    """Opens files at URLs. Thread-safe. Raises UnusableFile for a file that cannot be read."""

    storage_options: Mapping[str, str]
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    guard: AddressGuard = PUBLIC_ONLY

    @classmethod
    def of(cls, options: SourceOptions) -> Self:
        return cls(options.storage, guard=AddressGuard.parse(options.allow_addresses))

    def open(self, url: str) -> BinaryIO:
        return self.http.open(url) if is_http(url) else self.storage.open(url)

    def stamp(self, url: str) -> str:
        """Return the stamp of the file's version; "" if it is unknown without reading the file. Never raises."""
        return self.http.stamp(url) if is_http(url) else self.storage.stamp(url)

    def close(self) -> None:
        """Close the HTTP connections. Connections that are not closed end with the process."""
        if "http" in self.__dict__:
            self.http.close()

    @cached_property
    def http(self) -> HttpTransport:
        return HttpTransport(self.retry_policy, guard=self.guard)

    @cached_property
    def storage(self) -> StorageTransport:
        return StorageTransport(self.storage_options, self.retry_policy, self.guard)
