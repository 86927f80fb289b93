import pytest

from clip_vectorizer.public_urls import strip_secrets
from ingest.sources.urls import is_url, join_url, parent_url, parse_base_name


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:pass@Example.org/a/x.png", "https://example.org/a/x.png"),
        ("https://e.org/x.png?X-Amz-Algorithm=A&X-Amz-Credential=B&X-Amz-Signature=C", "https://e.org/x.png"),
        ("https://e.org/x.png?id=3&token=geheim", "https://e.org/x.png?id=3"),
        ("https://e.org/x.png?access_token=a&API_KEY=b&sig=c&sv=d&se=e&sp=r", "https://e.org/x.png"),
        ("https://e.org/x.png?X-Goog-Signature=a&GoogleAccessId=b&Expires=5", "https://e.org/x.png"),
        ("https://e.org/x.png?Policy=a&Signature=b&Key-Pair-Id=c", "https://e.org/x.png"),
        ("https://e.org/photo?id=3&sp=2&b=%20c#top", "https://e.org/photo?id=3&sp=2&b=%20c"),
        ("S3://bucket/a?b#c.png", "s3://bucket/a?b#c.png"),
        ("sftp://user:pass@host/x@y.png", "sftp://host/x@y.png"),
        ("memory://a/b.png", "memory://a/b.png"),
    ],
)
def test_the_public_form_of_a_url_has_no_password_or_signature(address: str, shown: str) -> None:
    assert strip_secrets(address) == shown == strip_secrets(shown)


def test_urls_and_paths_are_distinguished() -> None:
    assert all(map(is_url, ("s3://b/x", "HTTPS://e.org", "abfs+x://a")))
    assert not any(map(is_url, ("a.png", "/a://b", "c:/x.png", "a b://c", "://x", "-")))


def test_a_name_is_the_last_part_of_the_path() -> None:
    assert parse_base_name("https://e.org/a/x%20y.png?token=t") == "x y.png"
    assert parse_base_name("s3://b/a/x%20y.png") == "x%20y.png"
    assert parse_base_name("s3://bucket/photos/") == "photos" and parse_base_name("s3://bucket") == "bucket"


def test_paths_are_relative_to_the_folder_of_a_table() -> None:
    table = "https://user:p@e.org/sets/t.csv?sig=s"
    assert join_url(parent_url(table), "a b/x#1.png") == "https://user:p@e.org/sets/a%20b/x%231.png"
    assert join_url(parent_url(table), "x%20y.png") == "https://user:p@e.org/sets/x%20y.png"
    assert join_url(parent_url("s3://b/sets/t.csv"), "a b/x#1.png") == "s3://b/sets/a b/x#1.png"
