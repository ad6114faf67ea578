"""Addresses of stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from poseshift.storage.location import Location


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/data/h36m", Location("file", "", "/data/h36m")),
        (Path("/data/h36m"), Location("file", "", "/data/h36m")),
        ("file:///data/h36m", Location("file", "", "/data/h36m")),
        ("s3://bucket/some/prefix/", Location("s3", "bucket", "some/prefix")),
        ("s3://bucket", Location("s3", "bucket", "")),
        ("gs://bucket/p", Location("gs", "bucket", "p")),
    ],
)
def test_parse(address: str | Path, expected: Location) -> None:
    assert Location.parse(address) == expected
    assert Location.parse(str(expected)) == expected


def test_relative_folders_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Location.parse("runs/a") == Location("file", "", str(tmp_path / "runs/a"))


@pytest.mark.parametrize(("address", "message"), [("ftp://x/y", "unknown scheme"), ("s3:///y", "no bucket")])
def test_refused(address: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Location.parse(address)


def test_only_local_folders_are_locked() -> None:
    assert Location.parse("/data/h36m").lock_path == Path("/data/h36m.lock")
    assert Location.parse("s3://b/p").lock_path is None


def test_an_address_holds_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-in-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-in-the-environment")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    place = Location.parse("s3://bucket/prefix")
    storage = place.icechunk_storage()
    for text in (str(place), repr(place), str(storage), repr(storage)):
        assert "in-the-environment" not in text
    assert "127.0.0.1:1" in str(storage)
