"""Requests to servers of this machine, whose addresses stand for public and private ones."""

import datetime
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clip_vectorizer.address_guard import AddressGuard
from clip_vectorizer.errors import AddressRefused, InputError
from clip_vectorizer.guarded_http import GuardedTransport
from tests.http_server import LOOPBACK, running

PUBLIC, PRIVATE = "127.0.0.1", "127.0.0.2"  # the one that LOOPBACK allows stands for a public one
PROXY_VARIABLES = (
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
)


@dataclass
class Recorded:
    """A server, and what it has seen."""

    port: int = 0
    paths: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    location: str = ""  # where it sends its callers

    def url(self, host: str, scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/x.png"


@contextmanager
def recording(address: str, certificate: Path | None = None) -> Iterator[Recorded]:
    record = Recorded()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            record.paths.append(self.path)
            record.hosts.append(self.headers["Host"])
            self.send_response(302 if record.location else 200)
            if record.location:
                self.send_header("Location", record.location)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"image")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((address, 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    record.port = server.server_port
    with running(server):
        yield record


@pytest.fixture
def public() -> Iterator[Recorded]:
    with recording(PUBLIC) as record:
        yield record


@pytest.fixture
def private() -> Iterator[Recorded]:
    with recording(PRIVATE) as record:
        yield record


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def get(url: str, guard: AddressGuard = LOOPBACK, verify: ssl.SSLContext | None = None) -> httpx.Response:
    transport = GuardedTransport(guard, verify or ssl.create_default_context())
    with httpx.Client(transport=transport, follow_redirects=True, timeout=5) as client:
        return client.get(url)


class Answers:
    """A resolver that gives one answer after the other, as a name server of an attacker does."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_a_refused_address_gets_no_connection(private: Recorded) -> None:
    with pytest.raises(AddressRefused, match=PRIVATE):
        get(private.url(PRIVATE))
    assert private.paths == []


@pytest.mark.parametrize("host", [PRIVATE, "127.0.0.2.", "0x7f000002", "2130706434", "[::ffff:127.0.0.2]"])
def test_a_redirect_does_not_lead_to_a_refused_address(public: Recorded, private: Recorded, host: str) -> None:
    public.location = private.url(host)
    with pytest.raises((AddressRefused, httpx.ConnectError)):
        get(public.url(PUBLIC))
    assert len(public.paths) == 1 and private.paths == []


def test_the_connection_goes_to_the_address_that_was_checked(public: Recorded, private: Recorded) -> None:
    """DNS rebinding: the first answer is public, the second is not, and both servers listen on the port."""
    answers = Answers([PUBLIC], [PRIVATE])
    assert get(public.url("attacker.example"), replace(LOOPBACK, resolver=answers)).content == b"image"
    assert answers.asked == 1 and public.hosts == [f"attacker.example:{public.port}"]
    with pytest.raises(AddressRefused, match=r"attacker\.example is at 127\.0\.0\.2"):
        get(private.url("attacker.example"), replace(LOOPBACK, resolver=answers))
    assert private.paths == []


def test_every_connection_is_checked_again(public: Recorded) -> None:
    answers = Answers([PUBLIC], [PRIVATE])
    transport = GuardedTransport(replace(LOOPBACK, resolver=answers), ssl.create_default_context())
    with httpx.Client(transport=transport) as client:
        close = {"Connection": "close"}
        assert client.get(public.url("attacker.example"), headers=close).content == b"image"
        with pytest.raises(AddressRefused):
            client.get(public.url("attacker.example"), headers=close)


def test_a_host_with_a_public_and_a_refused_address_is_refused(public: Recorded) -> None:
    with pytest.raises(AddressRefused, match=PRIVATE):
        get(public.url("attacker.example"), replace(LOOPBACK, resolver=Answers([PUBLIC, PRIVATE])))
    assert public.paths == []


def test_the_next_address_is_tried_where_the_first_does_not_listen(public: Recorded) -> None:
    guard = AddressGuard.parse(["127.0.0.0/8"])
    found = get(public.url("pictures.example"), replace(guard, resolver=Answers(["127.0.0.3", PUBLIC])))
    assert found.content == b"image"
    with pytest.raises(httpx.ConnectError):
        get(public.url("pictures.example"), replace(guard, resolver=Answers(["127.0.0.3"])))


@pytest.mark.parametrize("answer", [(), ("nowhere.invalid",)])
def test_a_host_without_an_address_is_a_failed_connection(answer: tuple[str, ...]) -> None:
    def resolver(host: str, port: int) -> Sequence[str]:
        if answer:
            raise OSError("Name or service not known")
        return []

    with pytest.raises(httpx.ConnectError, match=r"not known|has no address"):
        get("http://nowhere.invalid/", replace(LOOPBACK, resolver=resolver))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of pictures.example, with its key; signed by itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pictures.example")])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("pictures.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path_factory.mktemp("certificate") / "server.pem"
    file.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + secret)
    return file


def test_certificates_are_checked_for_the_name_not_for_the_address(certificate: Path) -> None:
    verify = ssl.create_default_context(cafile=str(certificate))
    guard = replace(LOOPBACK, resolver=Answers([PUBLIC]))
    with recording(PUBLIC, certificate) as record:
        assert get(record.url("pictures.example", "https"), guard, verify).content == b"image"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            get(record.url("other.example", "https"), guard, verify)


def test_a_proxy_of_the_environment_is_used_and_may_be_anywhere(
    private: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"{PRIVATE}:{private.port}")
    assert get("http://pictures.example/x.png").content == b"image"
    assert private.paths == ["http://pictures.example/x.png"]


@pytest.mark.parametrize("host", [PRIVATE, "localhost", "127.0.0.2.", "0x7f.2", "[::1]", "%31%32%37.0.0.2"])
def test_a_proxy_is_sent_to_no_address_that_is_refused(
    public: Recorded, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", public.url(PUBLIC))
    public.location = f"http://{host}/secret"
    with pytest.raises(AddressRefused):
        get("http://pictures.example/x.png")
    assert len(public.paths) == 1


def test_a_host_of_no_proxy_is_connected_to_and_checked(
    public: Recorded, private: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", public.url(PUBLIC))
    monkeypatch.setenv("NO_PROXY", "inside.example")
    guard = replace(LOOPBACK, resolver=Answers([PRIVATE]))
    with pytest.raises(AddressRefused, match=r"inside\.example is at 127\.0\.0\.2"):
        get(private.url("inside.example"), guard)
    assert public.paths == private.paths == []


def test_a_proxy_that_cannot_be_used_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://proxy")
    with pytest.raises(InputError, match="proxy of the environment"):
        get("http://pictures.example/")
