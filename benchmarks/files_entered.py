"""How many files of the project a reader opens to follow one job: those whose functions run while it is done.

One image through the sidecar's HTTP, one file through `clip-ingest`, one query of `clip-search`, one label of
`clip-classify`, one model's name to an encoder. Imports do not count, nor does what runs before or after the job.
"""

import os
import pkgutil
import signal
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import click
import httpx

import clip_vectorizer.database
import clip_vectorizer.query
import ingest
from benchmarks.common import describe_machine, format_command, format_today
from clip_vectorizer.models.catalog import ModelName, load_encoders
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.server.serve import serve
from clip_vectorizer.server.settings import parse_settings
from ingest.embedded import LocalStack
from ingest.embedded.local_server import find_free_ports

REPOSITORY = Path(__file__).resolve().parents[1]
ROOMS = tuple(str(REPOSITORY / room) + os.sep for room in ("clip_vectorizer", "ingest"))
IMAGE = REPOSITORY / "examples" / "images" / "fruit" / "red-apple.png"
START_SECONDS = 60.0


@click.command(epilog="Example: python -m benchmarks.files_entered --list")
@click.option("--list", "listed", is_flag=True, help="Print the names of the files, too.")
def main(listed: bool) -> None:
    """Print how many files each job enters."""
    click.echo(f"{format_today()} · {format_command()}\n{describe_machine()}\n")
    for job, files in count_jobs():
        click.echo(f"{len(files):3d}  {job}")
        if listed:
            click.echo("".join(f"       {file}\n" for file in sorted(files)), nl=False)


def count_jobs() -> Iterator[tuple[str, set[str]]]:
    with recording() as take:
        load_encoders(ModelName("emoji"), Placement())
        yield "one model name, to an encoder", take()
    yield "one HTTP request, POST /vectorize with an image", http_request()
    import_clients()
    with TemporaryDirectory() as folder, LocalStack("emoji", Path(folder)) as stack:
        weaviate = stack.weaviate
        place = ["--weaviate-url", weaviate.url, "--weaviate-grpc-port", str(weaviate.grpc_port)]
        place += ["--weaviate-api-key", weaviate.api_key, "--vectorizer-url", stack.sidecar.url]
        yield "one file, clip-ingest FILE", command("ingest.cli", [str(IMAGE), *place])
        yield "one text query, clip-search TEXT", command("clip_vectorizer.query.cli.search", ["a red apple", *place])
        words = [str(IMAGE), "--labels", "apple,banana", *place]
        yield "one label, clip-classify FILE", command("clip_vectorizer.query.cli.classify", words)


def http_request() -> set[str]:
    """The server needs the main thread, for its signals; the client has a thread of its own and ends the server."""
    [port] = find_free_ports(1)
    settings = parse_settings({"CLIP_PORT": str(port), "CLIP_MODEL": "emoji"})
    files: set[str] = set()

    def request() -> None:
        sys.setprofile(None)
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url)
        take()
        answer = httpx.post(f"{url}/vectorize", json={"images": [b64encode(IMAGE.read_bytes()).decode()]})
        assert len(answer.json()["imageVectors"]) == 1
        files.update(take())
        os.kill(os.getpid(), signal.SIGTERM)

    with recording() as take:
        threading.Thread(target=request).start()
        serve(settings, lambda: load_encoders(ModelName("emoji"), Placement()))
    return files


def wait_until_ready(url: str) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            if httpx.get(f"{url}/.well-known/ready").status_code == 204:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the sidecar at {url} was not ready after {START_SECONDS:.0f} s")


def import_clients() -> None:
    """Import what commands import late: what runs during an import does not count."""
    for package in (clip_vectorizer.query, clip_vectorizer.database, ingest):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)


def command(module: str, words: list[str]) -> set[str]:
    main = import_module(module).main
    with redirect_stdout(StringIO()), recording() as take:
        try:
            main(words, standalone_mode=False)
        except (click.exceptions.Exit, SystemExit) as end:
            code = getattr(end, "exit_code", getattr(end, "code", 0))
            if code:
                raise RuntimeError(f"{module} ended with {code}") from end
        return take()


@contextmanager
def recording() -> Iterator[Callable[[], set[str]]]:
    """Gives a function that returns the files entered since it was called last."""
    seen: set[str] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(ROOMS) and frame.f_code.co_name not in ("<module>", "__getattr__"):
            seen.add(name)

    def take() -> set[str]:
        files = {str(Path(name).relative_to(REPOSITORY)) for name in seen}
        seen.clear()
        return files

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield take
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


if __name__ == "__main__":
    main()
