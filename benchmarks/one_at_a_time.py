"""A server that works as Weaviate's own container does: decode, prepare and compute one item at a time, under one lock.

It stands for that container where its code cannot be had. Everything else about it is as quick as it is in ours
(Starlette, uvicorn); benchmarks/throughput.py --upstream shows both in one run.
"""

import base64
import io
import json
import threading
from typing import Any

import click
import open_clip
import torch
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class OneAtATime:
    def __init__(self, architecture: str, device: str) -> None:
        model, _, self._prepare = open_clip.create_model_and_transforms(architecture)
        self._device = device
        self._model = model.to(device).eval().requires_grad_(False)
        self._tokens = open_clip.get_tokenizer(architecture)  # pads every text to the whole context
        self._lock = threading.Lock()

    def answer(self, body: bytes) -> dict[str, Any]:
        fields = json.loads(body)
        with self._lock, torch.inference_mode():
            texts = [self._text(text) for text in fields.get("texts") or ()]
            images = [self._image(image) for image in fields.get("images") or ()]
        return {"textVectors": texts, "imageVectors": images}

    def _text(self, text: str) -> list[float]:
        return normalise_row(self._model.encode_text(self._tokens([text]).to(self._device)))

    def _image(self, encoded: str) -> list[float]:
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
            return normalise_row(self._model.encode_image(self._prepare(picture)[None].to(self._device)))


def normalise_row(rows_1d: torch.Tensor) -> list[float]:
    row: list[float] = (rows_1d / rows_1d.norm(dim=-1, keepdim=True))[0].tolist()
    return row


def create_app(worker: OneAtATime) -> Starlette:
    async def vectorize(request: Request) -> Response:
        body = await request.body()
        try:
            return JSONResponse(await run_in_threadpool(worker.answer, body))
        except (ValueError, OSError) as error:
            return JSONResponse({"error": str(error)}, 500)

    async def ready(_request: Request) -> Response:
        return Response(status_code=204)

    return Starlette(routes=[Route("/vectorize", vectorize, methods=["POST"]), Route("/.well-known/ready", ready)])


@click.command()
@click.option("--model", default="ViT-B-32", show_default=True, help="An architecture of open_clip; random weights.")
@click.option("--port", type=int, default=9091, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="As torch names it.")
def main(model: str, port: int, device: str) -> None:
    """Serve one item at a time on 127.0.0.1.

    \b
    Example:
      python benchmarks/one_at_a_time.py --port 9091
    """
    uvicorn.run(create_app(OneAtATime(model, device)), port=port, log_level="warning", timeout_keep_alive=120)


if __name__ == "__main__":
    main()
