"""Files and pictures: nothing outside of --root is read, nothing that a browser could run is sent as a picture."""

import base64
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gallery.offline import ID, FakeImages, encode, request, send_and_show, send_picture

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
HTML = b"<!doctype html><script>alert(1)</script>"
# Pictures to some parser, and a page to another one.
GIF_AND_SCRIPT = b"GIF89a/*" + b" " * 20 + b"*/=1;alert(1)"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder with one picture; beside it another one, which no path may reach."""
    folder = tmp_path / "root"
    (folder / "fruit").mkdir(parents=True)
    (folder / "fruit" / "apple.png").write_bytes(encode())
    (folder / "fruit" / "50% off ?#&.png").write_bytes(encode())
    (folder / "page.svg").write_bytes(SVG)
    (folder / "page.png").write_bytes(HTML)
    (folder / "empty.png").write_bytes(b"")
    (tmp_path / "secret.png").write_bytes(encode())
    (tmp_path / "root-2").mkdir()
    (tmp_path / "root-2" / "secret.png").write_bytes(encode())
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "linked").symlink_to(tmp_path / "root-2")
    (folder / "inside.png").symlink_to(folder / "fruit" / "apple.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    yield folder


@pytest.mark.parametrize("path", ["fruit/apple.png", "fruit/../fruit/apple.png", "inside.png", "fruit/50% off ?#&.png"])
def test_a_file_inside_of_the_folder_is_sent(root: Path, path: str) -> None:
    answer = request("GET", f"/full/{ID}", images=FakeImages(path=path), root=root)
    assert answer.status_code == 200 and answer.content == encode()
    assert answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    "path",
    [
        *(
            "../secret.png",
            "fruit/../../secret.png",
            "./../secret.png",
            "....//secret.png",
            "..",
            "",
            ".",
            "/",
            "fruit",
        ),
        *("{outside}/secret.png", "/etc/passwd", "file:///etc/passwd", "~/secret.png", "$HOME/secret.png"),
        *("..%2fsecret.png", "%2e%2e/secret.png", "..%252fsecret.png", "..%c0%afsecret.png", "..\u2215secret.png"),
        *("..\\secret.png", "C:\\secret.png", "C:secret.png", "C:/secret.png", "\\\\server\\share\\secret.png"),
        *("//server/share/secret.png", "\\\\?\\C:\\secret.png", "CON", "NUL", "fruit/apple.png::$DATA"),
        *("fruit/apple.png\0", "\0../secret.png", "fruit/apple.png\0.png", "fruit/apple.png\n", " fruit/apple.png"),
        *("link.png", "linked/secret.png", "linked", "loop.png", "../root-2/secret.png", "../root/../secret.png"),
        *("a.pdf#page=3", "photos.zip::member.png", "fruit/apple.png::member", "fruit/apple.png/x", "page.svg"),
        *("page.png", "empty.png", "a" * 5000, "a/" * 3000, "\ud800.png", "http://evil.example/x.png"),
    ],
)
def test_nothing_else_is_sent(root: Path, path: str) -> None:
    stored = path.replace("{outside}", str(root.parent))
    answer = request("GET", f"/full/{ID}", images=FakeImages(path=stored), root=root)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/plain") and "<" not in answer.text


@pytest.mark.parametrize("kind", ["thumb", "full", "image", "upload"])
@pytest.mark.parametrize(
    "id",
    [
        *("..%2fsecret.png", "..%2F..%2Fetc%2Fpasswd", "%2e%2e%2fsecret.png", "fruit%2Fapple.png", "fruit/apple.png"),
        *(
            f"{ID}%00",
            f"{ID}.png",
            f"{ID}%20",
            f"{{{ID}}}",
            ID.replace("-", ""),
            "%00",
            "'",
            "%3Cscript%3E",
            "x" * 3000,
        ),
    ],
)
def test_pictures_have_ids_and_no_paths(root: Path, kind: str, id: str) -> None:
    images = FakeImages()
    answer = request("GET", f"/{kind}/{id}", images=images, root=root)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/plain") or "<script>" not in answer.text


def test_an_id_in_capitals_is_the_same_image(root: Path) -> None:
    assert request("GET", f"/thumb/{ID.upper()}").status_code == 200


@pytest.mark.parametrize(
    "path", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "../templates/base.html", "//etc/passwd"]
)
def test_static_files_are_those_of_their_folder(path: str) -> None:
    assert request("GET", f"/static/{path}").status_code == 404


@pytest.mark.parametrize(
    "data", [SVG, HTML, b"", b"\x89PNG", b"\xff\xd8", b"<?xml?>" + SVG, b"\xef\xbb\xbf" + HTML, b"RIFF"]
)
def test_a_thumbnail_that_is_no_picture_is_not_sent(data: bytes) -> None:
    images = FakeImages()
    images.thumbnail = data
    answer = request("GET", f"/thumb/{ID}", images=images)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/plain") and b"<" not in answer.content


@pytest.mark.parametrize(
    ("kind", "media_type"), [("JPEG", "jpeg"), ("PNG", "png"), ("GIF", "gif"), ("WEBP", "webp"), ("AVIF", "avif")]
)
def test_a_thumbnail_has_the_type_of_its_bytes(kind: str, media_type: str) -> None:
    answer = request("GET", f"/thumb/{ID}", images=FakeImages(thumbnail=encode(kind)))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"image/{media_type}"


def test_a_script_behind_the_first_bytes_of_a_picture_stays_a_picture() -> None:
    answer = request("GET", f"/thumb/{ID}", images=FakeImages(thumbnail=GIF_AND_SCRIPT))
    assert answer.headers["content-type"] == "image/gif"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("data", [SVG, HTML, b"", b"GIF89a", encode()[:60], GIF_AND_SCRIPT, base64.b64encode(encode())])
@pytest.mark.parametrize("is_script", [True, False])
def test_an_upload_that_is_no_picture_is_refused_by_name(data: bytes, is_script: bool) -> None:
    images = FakeImages()
    headers = {"X-Fragment": "path"} if is_script else {}
    answer = send_picture(data, "holiday.png", images=images, headers=headers)
    assert answer.status_code == 400 and images.embedded == 0
    sentence = answer.json()["error"] if is_script else answer.text
    assert "holiday.png" in sentence and (
        "JPEG" in sentence or (not data and "the file is empty (0 bytes)" in sentence)
    )


def test_what_is_shown_of_an_upload_is_made_anew() -> None:
    """Its own bytes, with whatever they hide, are never sent back."""
    shown = send_and_show(encode("PNG") + b"<script>alert(1)</script>")
    assert shown.status_code == 200 and shown.headers["content-type"] == "image/jpeg"
    assert b"script" not in shown.content


@pytest.mark.parametrize(
    "path",
    [
        *("../../evil.png", "/etc/evil.png", "C:\\evil.png", "..\\..\\evil.png", "a/../../evil.png", "\\\\h\\evil.png"),
        *("evil\0.png", "evil\r\n.png", "\u202egnp.exe", "a" * 5000, "a/" * 3000, "", ".", "..", "CON", "\ud800.png"),
    ],
)
def test_an_archive_of_thumbnails_unpacks_into_its_own_folder(path: str, tmp_path: Path) -> None:
    answer = request("POST", "/export", images=FakeImages(path=path), data={"id": ID, "as": "thumbnails"})
    assert answer.status_code == 200 and "attachment" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        [name] = archive.namelist()
        archive.extractall(tmp_path / "inside")
    assert ".." not in re.split(r"[/\\]", name) and not re.match(r"[/\\]|\w:", name)
    assert "\u202e" not in name and name.isprintable()
    assert [each.name for each in tmp_path.iterdir()] == ["inside"]


def test_a_contact_sheet_of_hostile_names_is_a_download_without_their_tags() -> None:
    images = FakeImages(path='"><img src=x onerror=alert(1)>')
    answer = request("POST", "/export", images=images, data={"id": ID, "as": "sheet"})
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "<img src=x" not in answer.text and answer.text.count("<img ") == 1


@pytest.mark.parametrize(
    "value", ["http://127.0.0.1:1/x.png", "file:///etc/passwd", "data:image/png;base64,AA==", "cat.png", "sha256:"]
)
def test_a_picture_is_never_named_by_an_address(value: str) -> None:
    answer = request("GET", "/", params={"image": value})
    assert answer.status_code == 400 and "image=" in answer.text
