"""What every local server is as a context manager: started on free ports, stopped whatever happens."""

from abc import ABC, abstractmethod
from typing import Self

from ingest.embedded.ports import with_fresh_ports


class LocalServer(ABC):
    def __enter__(self) -> Self:
        try:
            with_fresh_ports(self._start)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _start(self) -> None:
        """Starts it on ports of its own choice and returns when it is ready; called again when one was taken."""

    @abstractmethod
    def stop(self) -> None:
        """Ends it, if it runs, and waits until it is gone."""
