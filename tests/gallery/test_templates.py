"""The files of the page: they escape, have no inline code, name no other host, are in the wheel, and are small."""

import gzip
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

from tests.gallery.offline import FakeImages, request
from tests.test_wheel import REPOSITORY, UV

HERE = REPOSITORY / "clip_vectorizer" / "gallery"
TEMPLATES = sorted((HERE / "templates").rglob("*.html"))
STATIC = sorted(file for file in (HERE / "static").rglob("*") if file.is_file())
NAMESPACE = "http://www.w3.org/2000/svg"  # of SVG: a name, which no browser opens
# What a page could run or load without the policy's consent.
INLINE = (
    r"<script(?![^>]*\ssrc=\"/static/)",
    r"<style",
    r"\sstyle\s*=",
    r"[\s\"'/]on[a-z]+\s*=",
    r"javascript:",
    r"<(iframe|object|embed|base)\b",
    r"http-equiv",
)
UNSAFE_JAVASCRIPT = (
    r"\.innerHTML\s*\+?=", r"outerHTML\s*=", r"insertAdjacentHTML", r"document\.write", r"\beval\(", r"new Function",
    r"setHTMLUnsafe", r"createContextualFragment", r"set(Timeout|Interval)\(\s*[\"'`]",
)  # fmt: skip
HOSTS = (r"https?://[\w\[]", r"[\"'(=]//[\w.-]+\.", r"\bws?s:", r"@import", r"fonts\.", r"\bcdn\b")
KB = 1000
LIMITS = {".js": 30 * KB, ".css": 12 * KB}  # bytes, gzipped
FIRST_PAGE_BYTES = 60 * KB  # with scripts and styles, without pictures
TYPES = {".js", ".css", ".svg"}


def find(patterns: Iterable[str], texts: Mapping[str, str]) -> list[str]:
    return [f"{name}: {found[0]}" for name, text in texts.items() for each in patterns for found in matches(each, text)]


def matches(pattern: str, text: str) -> list[re.Match[str]]:
    return list(re.finditer(pattern, text, re.IGNORECASE))


def read(files: Iterable[Path]) -> dict[str, str]:
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def test_templates_escape_everything() -> None:
    texts = read(TEMPLATES)
    assert len(texts) > 4
    assert find([r"\|\s*safe\b", r"autoescape", r"Markup", r"\|\s*tojson"], texts) == []


def test_every_attribute_with_a_value_is_quoted() -> None:
    """Escaping protects quoted attributes only."""
    assert find([r"<[^>]*\s[\w-]+=\{\{"], read(TEMPLATES)) == []


def test_templates_use_names_that_exist() -> None:
    """Each parses, and includes or extends templates that are there."""
    for file in TEMPLATES:
        tree = Environment(autoescape=True).parse(file.read_text(encoding="utf-8"))
        named = [each.template.value for each in tree.find_all((nodes.Include, nodes.Extends, nodes.FromImport))]
        assert all((HERE / "templates" / name).is_file() for name in named), file.name


def test_templates_have_no_inline_code() -> None:
    assert find(INLINE, read(TEMPLATES)) == []


@pytest.mark.parametrize(
    "line",
    ["<script>x</script>", '<p onclick="x">', "<p style='x'>", '<a href="javascript:x">', "<script src='http://x'>"],
)
def test_inline_code_would_be_found(line: str) -> None:
    assert find(INLINE, {"x.html": line})


def test_scripts_write_no_markup_from_text() -> None:
    scripts = read(file for file in STATIC if file.suffix == ".js")
    assert scripts and find(UNSAFE_JAVASCRIPT, scripts) == []


def test_no_file_names_another_host() -> None:
    """Offline it works as online: no font, script or picture comes from elsewhere."""
    texts = {name: text.replace(NAMESPACE, "") for name, text in read([*TEMPLATES, *STATIC]).items()}
    assert find(HOSTS, texts) == []
    assert find(HOSTS, {"x.html": "<img src=//evil.example>"}) and find(HOSTS, {"x.css": "url(https://evil.example/x)"})


def test_static_files_are_text_that_is_served() -> None:
    assert {file.suffix for file in STATIC} <= TYPES
    for file in STATIC:
        answer = request("GET", f"/static/{file.relative_to(HERE / 'static').as_posix()}")
        assert answer.status_code == 200 and answer.content == file.read_bytes()
        assert answer.headers["content-type"].partition(";")[0] in ("text/javascript", "text/css", "image/svg+xml")


def test_every_file_that_a_page_or_a_script_names_is_there() -> None:
    texts = read([*TEMPLATES, *STATIC])
    named = {name for text in texts.values() for name in re.findall(r"[\"'(]/static/([\w./-]+)", text)}
    imported = {name for text in texts.values() for name in re.findall(r"from \"\./([\w./-]+)\"", text)}
    assert named and all((HERE / "static" / name).is_file() for name in named | imported)
    unused = {file.name for file in STATIC} - named - imported
    assert not unused, "no page uses these"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The gallery's files in the wheel, by their path below clip_vectorizer/gallery."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [UV, "build", "--wheel", "--offline", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*build, "--out-dir", folder, REPOSITORY], check=True, capture_output=True)
    [file] = folder.glob("*.whl")
    prefix = "clip_vectorizer/gallery/"
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.startswith(prefix)]
        return {name.removeprefix(prefix): archive.read(name) for name in names}


def test_the_wheel_has_every_file(wheel: dict[str, bytes]) -> None:
    expected = {file.relative_to(HERE).as_posix(): file.read_bytes() for file in (*TEMPLATES, *STATIC)}
    assert {name: wheel.get(name) for name in expected} == expected


def test_scripts_and_styles_are_small(wheel: dict[str, bytes]) -> None:
    for suffix, limit in LIMITS.items():
        sizes = {name: len(gzip.compress(data)) for name, data in wheel.items() if name.endswith(suffix)}
        assert sizes and sum(sizes.values()) <= limit, sizes


def test_the_first_page_is_small(wheel: dict[str, bytes]) -> None:
    """A page of 40 results, and all that it loads but the pictures."""
    page = request("GET", "/?q=red", images=FakeImages(count=40))
    assert page.text.count('class="card"') == 40
    loaded = [data for name, data in wheel.items() if name.endswith(tuple(TYPES))]
    total = sum(len(gzip.compress(data)) for data in (*loaded, page.content))
    assert total <= FIRST_PAGE_BYTES


def test_the_command_needs_no_torch() -> None:
    """Its extra installs what its modules import, and no more."""
    program = (
        "import sys; import clip_vectorizer.gallery.app, clip_vectorizer.gallery.serve; "
        "print([name for name in ('torch', 'open_clip', 'transformers', 'msgspec', 'orjson') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"
