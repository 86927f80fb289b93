"""UMAP in a process of its own: compiling, most of a minute, would hold up all pages of this one.

N images · D dimensions
"""

import asyncio
import io
import sys
from asyncio.subprocess import PIPE, Process

import numpy as np
import numpy.typing as npt

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.gallery.umap_process import LENGTH_BYTES, read_length, write_length
from clip_vectorizer.vectors import Vectors

IDLE_SECONDS = 600.0  # the process has a few hundred MB


class UmapLayouts:
    """Layouts by UMAP with a fixed seed. The process stays for the next one, which needs no compiling."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._process: Process | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._free = asyncio.Lock()

    async def project(self, vectors_nd: Vectors) -> npt.NDArray[np.float64]:
        """Return (N, 2) scores, the same for the same vectors. Raises VectorizerError where UMAP fails."""
        async with self._free:
            if self._timer is not None:
                self._timer.cancel()
            process = self._process = self._process or await start_process()
            try:
                scores_n2 = await exchange(process, vectors_nd)
            except BaseException:
                self.end()  # a half-written answer would be the next one's
                await process.wait()
                raise
            self._timer = asyncio.get_running_loop().call_later(self._idle_seconds, self.end)
        return scores_n2

    def end(self) -> None:
        """End the process; the next layout starts another one."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()

    async def close(self) -> None:
        process = self._process
        if self._timer is not None:
            self._timer.cancel()
        self.end()
        if process is not None:
            await process.wait()


async def start_process() -> Process:
    """It ends by itself when this process is gone: its input ends then."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "clip_vectorizer.gallery.umap_process", stdin=PIPE, stdout=PIPE, stderr=PIPE
    )


async def exchange(process: Process, vectors_nd: Vectors) -> npt.NDArray[np.float64]:
    """Raises VectorizerError with the last line of its errors where the process ends instead."""
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    data = io.BytesIO()
    np.save(data, vectors_nd.astype(np.float32), allow_pickle=False)
    try:
        process.stdin.writelines([write_length(data.getbuffer()), data.getvalue()])
        await process.stdin.drain()
        length = read_length(await process.stdout.readexactly(LENGTH_BYTES))
        answer = await process.stdout.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        errors = await process.stderr.read()
        code = await process.wait()
        reason = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise VectorizerError(f"UMAP failed: {reason or f'exit code {code}'}; use layout=pca") from error
    scores: npt.NDArray[np.float64] = np.load(io.BytesIO(answer), allow_pickle=False).astype(np.float64)
    return scores
