"""The gallery's guard, without a database: who may open a page, what may change something, which headers go out."""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from click.testing import CliRunner

from clip_vectorizer.gallery.cli import main as gallery_command
from clip_vectorizer.gallery.security import POLICY
from tests.gallery.browsing import read_address, start_gallery
from tests.gallery.offline import ID, LOCAL, FakeImages, encode, request, send_picture
from tests.stack.support import NOWHERE, http

PASSWORD = "päss word"
UNREACHABLE = {"WEAVIATE_URL": NOWHERE, "VECTORIZER_URL": NOWHERE}


def login(password: str, user: str = "me") -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8091", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8091", "photos.example:443"]
)
def test_known_hosts_may_open_the_page(host: str) -> None:
    assert request("GET", "/ready", headers={"Host": host}, allowed_hosts=["photos.example"]).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8091", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example.", ""),
        *("localhost@evil.example", "evil.example@localhost", "localhost/evil", "localhost, evil.example", "192.0.2.7"),
        *("0.0.0.0", "[::ffff:127.0.0.1]x", "127.1", "2130706433", "localhost\u2024evil", "[", "localhost#x", "*"),
    ],
)
def test_any_other_host_is_refused_on_every_path(host: str) -> None:
    """A page of evil.example whose name now leads to 127.0.0.1 reads nothing."""
    for path in ("/", "/ready", "/static/gallery.css", f"/thumb/{ID}", "/nothing"):
        answer = request("GET", path, headers={"Host": host.encode()})
        assert answer.status_code == 421, path
        assert "--allowed-host" in answer.text and answer.headers["content-type"].startswith("text/plain")


def test_behind_a_password_numbers_are_hosts_too() -> None:
    """By a number no other page's name is in play; the password is."""
    wanted: dict[str, Any] = {"by_number": True, "password": PASSWORD}
    assert request("GET", "/", headers={"Host": "192.0.2.7:80"} | login(PASSWORD), **wanted).status_code == 200
    assert request("GET", "/", headers={"Host": "evil.example"} | login(PASSWORD), **wanted).status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": LOCAL}, 403),
        ({"Sec-Fetch-Site": "Same-Origin "}, 403),
        ({"Sec-Fetch-Site": "anything"}, 403),
        ({"Origin": LOCAL}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Origin": "https://localhost:8091"}, 403),
        ({"Origin": ""}, 403),
        ({}, 200),  # curl
    ],
)
def test_only_the_page_itself_and_programs_may_send_a_picture(headers: Mapping[str, str], status: int) -> None:
    images = FakeImages()
    answer = send_picture(encode(), headers={"X-Fragment": "path", **headers}, images=images)
    assert answer.status_code == status, answer.text
    assert images.embedded == (1 if status == 200 else 0), "what is refused is not read"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST"])
def test_methods_that_change_something_are_refused_to_other_sites_on_every_path(method: str) -> None:
    for path in ("/", "/image", "/search.json", f"/thumb/{ID}", "/static/gallery.js"):
        assert request(method, path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_a_get_from_another_site_is_a_link_and_works() -> None:
    """Links in mails lead to the page. The other site reads nothing of it: there are no CORS headers."""
    answer = request("GET", "/", headers={"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control-")]


ANSWERS = {
    "page": ("GET", "/?q=red", {}, 200),
    "list": ("GET", "/", {}, 200),
    "fragment": ("GET", "/?q=red", {"X-Fragment": "results"}, 200),
    "lines": ("GET", "/search.json?q=red", {}, 200),
    "error in lines": ("GET", "/search.json?q=red&limit=x", {}, 400),
    "filters": ("GET", "/facets", {}, 200),
    "details": ("GET", f"/image/{ID}", {}, 200),
    "no image": ("GET", "/image/none", {}, 404),
    "thumbnail": ("GET", f"/thumb/{ID}", {}, 200),
    "no thumbnail": ("GET", "/thumb/none", {}, 404),
    "no file": ("GET", f"/full/{ID}", {}, 404),
    "no upload": ("GET", f"/upload/{'0' * 64}", {}, 404),
    "script": ("GET", "/static/gallery.js", {}, 200),
    "style": ("GET", "/static/gallery.css", {}, 200),
    "no static file": ("GET", "/static/none", {}, 404),
    "unknown path": ("GET", "/none", {}, 404),
    "wrong method": ("DELETE", "/", {}, 405),
    "bad parameter": ("GET", "/?nonsense=1", {}, 400),
    "wrong host": ("GET", "/", {"Host": "evil.example"}, 421),
    "other site": ("POST", "/image", {"Origin": "http://evil.example"}, 403),
    "head": ("HEAD", "/", {}, 200),
    "ready": ("GET", "/ready", {}, 200),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_kind_of_response_has_the_policy(name: str) -> None:
    method, path, headers, status = ANSWERS[name]
    answer = request(method, path, headers=headers)
    assert answer.status_code == status, answer.text
    assert_guarded(answer)


def assert_guarded(answer: httpx.Response) -> None:
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "server" not in answer.headers


def test_the_policy_allows_no_code_of_others() -> None:
    rules = dict(rule.strip().split(" ", 1) for rule in POLICY.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == rules["form-action"] == "'self'"
    assert "unsafe" not in POLICY and "http" not in POLICY and "*" not in POLICY


def test_an_unexpected_error_is_a_sentence_with_the_policy() -> None:
    """Its traceback is for the terminal; the page has a link that leads on."""
    answer = request("GET", "/?q=red", images=FakeImages(breaks=True))
    assert answer.status_code == 500
    assert "Traceback" not in answer.text and "of a test" not in answer.text
    assert "try again" in answer.text and 'href="/"' in answer.text
    assert_guarded(answer)
    sent = send_picture(encode(), headers={"X-Fragment": "path"}, images=FakeImages(breaks=True))
    assert sent.status_code == 500 and "try again" in sent.json()["error"]
    assert_guarded(sent)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (login(PASSWORD), 200),
        (login(PASSWORD, ""), 200),
        ({}, 401),
        (login("wrong"), 401),
        (login(""), 401),
        (login(f"{PASSWORD} "), 401),
        ({"Authorization": "Basic ====x"}, 401),
        ({"Authorization": "Basic"}, 401),
        ({"Authorization": "Bearer x"}, 401),
        ({"Authorization": f"Basic {base64.b64encode(bytes([255, 58, 255])).decode()}"}, 401),
    ],
)
def test_with_a_password_nothing_is_open_without_it(headers: dict[str, str], status: int) -> None:
    for path in ("/", "/search.json", f"/thumb/{ID}", "/static/gallery.js"):
        answer = request("GET", path, headers=headers, password=PASSWORD)
        assert answer.status_code == status
        assert_guarded(answer)
        if status == 401:
            assert answer.headers["www-authenticate"].startswith("Basic ")
            assert answer.text.endswith("\n") and PASSWORD not in answer.text


def test_a_probe_needs_no_password() -> None:
    assert request("GET", "/ready", password=PASSWORD).status_code == 200


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, str]]:
    """The addresses of a gallery on the network, and of one on loopback; both start at the same time."""
    secret = {"CLIP_GALLERY_PASSWORD": "secret"}
    with (
        start_gallery("--host", "0.0.0.0", env=UNREACHABLE | secret) as network,
        start_gallery(env=UNREACHABLE) as loopback,
    ):
        yield read_address(network), read_address(loopback)


def test_on_a_network_address_the_command_serves_who_has_the_password(served: tuple[str, str]) -> None:
    local = f"http://127.0.0.1:{urlsplit(served[0]).port}"
    assert http("GET", f"{local}/").status_code == 401
    assert http("GET", f"{local}/", headers=login("wrong")).status_code == 401
    answer = http("GET", f"{local}/", headers=login("secret"))
    assert answer.status_code == 503 and NOWHERE in answer.text, "past the guard, the page names what is away"
    assert http("GET", f"{local}/", headers=login("secret") | {"Host": "evil.example"}).status_code == 421


def test_on_loopback_the_command_opens_without_a_password(served: tuple[str, str]) -> None:
    address = served[1]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
    answer = http("GET", f"{address}/")
    assert answer.status_code == 503 and NOWHERE in answer.text and 'role="alert"' in answer.text
    assert http("GET", f"{address}/", headers={"Host": "evil.example"}).status_code == 421
    assert_guarded(answer)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_a_network_address_needs_a_password_to_start(host: str) -> None:
    ended = CliRunner().invoke(gallery_command, ["--host", host, "--port", "0"], env={"CLIP_GALLERY_PASSWORD": None})
    assert ended.exit_code in (1, 2)
    assert "CLIP_GALLERY_PASSWORD" in ended.stderr and host in ended.stderr and ended.stdout == ""
