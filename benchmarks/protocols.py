"""uvicorn's two HTTP parsers, on a real request and a real answer and with no model behind.

Also a server: `python benchmarks/protocols.py h11 PORT`.
"""

import importlib.util
import sys
from contextlib import ExitStack

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.common import Report, side_by_side
from benchmarks.load import drive_load, make_image_bodies
from benchmarks.photographs import make_photograph
from benchmarks.servers import run_server

PARSERS = ("h11", "httptools")
SECONDS = 1.0
COUNT = 4000


def compare_protocols(report: Report, rounds: int) -> None:
    if not has_httptools():
        report.note("httptools is not installed: uvicorn's other parser was not measured")
        return
    body = make_image_bodies([make_photograph(0)])[0]
    values: dict[str, list[float]] = {name: [] for name in PARSERS}
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(run_server(name, (sys.executable, __file__, name, "PORT"))) for name in PARSERS
        }
        for _ in range(rounds):
            for name, server in servers.items():
                values[name].append(drive_load(server.url, [body] * COUNT, 1, SECONDS, distinct=False).p50)
    report.add(side_by_side("a request without a model: httptools", "ms", values["h11"], values["httptools"], "h11"))


def has_httptools() -> bool:
    return importlib.util.find_spec("httptools") is not None


def main(parser: str, port: int) -> None:
    uvicorn.run(app(), http="h11" if parser == "h11" else "httptools", port=port, log_level="warning")


def app() -> Starlette:
    from benchmarks.libraries import answer_by_orjson

    async def vectorize(request: Request) -> Response:
        await request.body()
        return Response(answer_by_orjson(), media_type="application/json")

    async def ready(_request: Request) -> Response:
        return Response(status_code=204)

    return Starlette(routes=[Route("/vectorize", vectorize, methods=["POST"]), Route("/.well-known/ready", ready)])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
