"""POST /vectorize/images: files in, float32 out, and no base64 or float text, which cost as much as a small model.

N files · D dimensions
"""

import io
import time

import numpy as np
from starlette.responses import Response

from clip_vectorizer.errors import ImageRefused, RequestRefused
from clip_vectorizer.protocol import NPY
from clip_vectorizer.server.answering import Asked, Handler
from clip_vectorizer.server.body import answered
from clip_vectorizer.server.protocol import Inputs, check_count
from clip_vectorizer.server.routes.multipart import boundary_in, files_in
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.times import Times
from clip_vectorizer.vectors import Vectors


def images_of(service: Service) -> Handler:
    async def images(request: Asked) -> Response:
        async def answer(body: bytes, times: Times) -> Response:
            files = files_in(body, boundary, lambda count: check_count(count, service.limits))
            times.parse = times.since_start()
            inputs = Inputs([], [file or ImageRefused(422, "0 bytes") for file in files])
            try:
                embedded = await service.embed(inputs, times)
            except RequestRefused as error:
                error.args = (str(error).replace("; send base64 of a", "; send a"),)
                raise
            written = time.perf_counter()
            content = npy_of(embedded.images, service.info.dimension)
            times.serialise = time.perf_counter() - written
            return Response(content, media_type=NPY)

        boundary = boundary_in(request.headers.get("content-type", ""))
        return await answered(service, request, answer)

    return images


def npy_of(rows: list[Vectors], dimension: int) -> bytes:
    """(N, D) float32 in numpy's file format, row after row; no rows: (0, D)."""
    buffer = io.BytesIO()
    rows_nd = np.stack(rows) if rows else np.empty((0, dimension))
    np.lib.format.write_array(buffer, np.ascontiguousarray(rows_nd, dtype="<f4"), allow_pickle=False)
    return buffer.getvalue()
