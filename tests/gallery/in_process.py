"""A gallery in this process, with or without a socket: a process of its own takes seconds to start."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import uvicorn
from starlette.testclient import TestClient

from clip_vectorizer.gallery.app import build_app
from clip_vectorizer.gallery.connection import GalleryConnection
from clip_vectorizer.gallery.pages import Gallery
from clip_vectorizer.query.saved_searches import SavedSearches
from tests.stack.support import Stack

Answer = Any  # httpx's or httpx2's Response, as Starlette has it


class GalleryClient(TestClient):
    gallery: Gallery


@contextmanager
def open_pages(stack: Stack, collection: str, root: Path | None = None, **options: Any) -> Iterator[GalleryClient]:
    """`options`: of build_gallery."""
    gallery = build_gallery(stack, collection, root, **options)
    with GalleryClient(build_app(gallery), base_url="http://localhost") as client:
        client.gallery = gallery
        yield client


@contextmanager
def serving_pages(stack: Stack, collection: str, root: Path | None = None, **options: Any) -> Iterator[str]:
    """The address, for a browser. `options`: of build_gallery."""
    app = build_app(build_gallery(stack, collection, root, **options))
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # connections wait in its queue until the server runs
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def build_gallery(
    stack: Stack,
    collection: str,
    root: Path | None = None,
    can_write: bool = False,
    tenant: str | None = None,
    searches: Path | None = None,
) -> Gallery:
    """`collection`: also several, with spaces between them, and "" for those that the server has."""
    values = {
        "collections": collection.split(),
        "weaviate_url": stack.weaviate_url,
        "weaviate_grpc_port": stack.grpc_port,
        "weaviate_api_key": stack.api_key,
        "vectorizer_url": stack.vectorizer_url,
        "vectorizer_api_key": None,
        "tenant": tenant,
        "consistency": None,
    }
    return Gallery(GalleryConnection(values), root, can_write, searches=SavedSearches(searches) if searches else None)


def fetch(client: TestClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


def fetch_rows(client: TestClient, path: str) -> list[dict[str, Any]]:
    return read_rows(client.get(path))


def read_rows(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def list_cards(page: str) -> list[str]:
    """The paths of the cards of a page, or of a part of it, in order."""
    return [unescape(path) for path in re.findall(r'<li class="card[^>]*data-path="([^"]*)"', page)]


def find_section(page: str, id: str) -> str:
    """What is inside of a section, "" where the page has none."""
    found = re.search(rf'<section id="{id}".*?</section>', page, re.DOTALL)
    return found[0] if found else ""


def find_link(page: str, id: str) -> str:
    """The address of a link, "" where the page has none."""
    found = re.search(rf'<a id="{id}"[^>]*href="([^"]*)"', page)
    return unescape(found[1]) if found else ""
