"""A remote file as a seekable binary file that reads byte ranges."""

import io
from collections import OrderedDict
from collections.abc import Callable

RangeFetcher = Callable[[int, int], bytes]  # fetch(start, end) returns those bytes; fewer only at the end of the file

BLOCK_BYTES = 2_000_000
MAX_BLOCKS = 8  # 16 MB: enough for the directory of an archive and the part being read
WHOLE_BYTES = 8_000_000  # a read of at least that many bytes is one request


class RangedFile(io.RawIOBase):
    """Fetches blocks when they are read and caches the last few. `size` is called only when the size is needed."""

    def __init__(
        self, fetch: RangeFetcher, size: Callable[[], int], on_close: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__()
        self._on_close = on_close
        self._fetch, self._fetch_size = fetch, size
        self._size: int | None = None
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._at = 0

    def close(self) -> None:
        if not self.closed:
            self._blocks.clear()
            self._on_close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence)
        self._at = max(0, offset + (self.size() if start is None else start))
        return self._at

    def size(self) -> int:
        if self._size is None:
            self._size = self._fetch_size()
        return self._size

    def read(self, count: int | None = -1) -> bytes:
        if count is None or count < 0:
            count = max(0, self.size() - self._at)
        data = self._fetch(self._at, self._at + count) if count >= WHOLE_BYTES else self._from_blocks(count)
        self._at += len(data)
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _from_blocks(self, count: int) -> bytes:
        """Return `count` bytes, fewer only at the end of the file."""
        parts, at, end = list[bytes](), self._at, self._at + count
        while at < end:
            number, offset = divmod(at, BLOCK_BYTES)
            part = self._block(number)[offset : offset + end - at]
            if not part:
                break
            parts.append(part)
            at += len(part)
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        block = self._blocks.get(number)
        if block is None:
            start = number * BLOCK_BYTES
            end = min(start + BLOCK_BYTES, self.size())
            block = self._blocks[number] = self._fetch(start, end) if start < end else b""
        self._blocks.move_to_end(number)
        while len(self._blocks) > MAX_BLOCKS:
            self._blocks.popitem(last=False)
        return block
