"""Archives as downloaded, and archives that attack whoever unpacks them."""

from __future__ import annotations

import gzip
import io
import re
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from poseshift.preprocessing.archives import ArchiveLimits, unpack
from poseshift.preprocessing.errors import RawDataError

WANTED = re.compile(r"S1/poses/[^/]+\.cdf")


def add(tar: tarfile.TarFile, name: str, content: bytes = b"pose") -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def make(path: Path, *contents: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents:
            add(tar, name, content)
    return path


def everything_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_wanted_members_only(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.tgz", ("S1/poses/x.cdf", b"x"), ("S1/poses/y.mat", b"y"), ("README", b"z"))
    (file,) = unpack(archive, tmp_path / "out", WANTED)
    assert file == tmp_path / "out/S1/poses/x.cdf"
    assert file.read_bytes() == b"x"
    assert everything_below(tmp_path / "out") == {"S1/poses/x.cdf", ".unpacked/a.tgz.json"}


def test_unpacked_once_and_again_when_something_changed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    archive = make(tmp_path / "a.tgz", ("S1/poses/x.cdf", b"x"), ("S1/poses/old.cdf", b"o"))
    (first, _) = unpack(archive, out, WANTED)
    before = first.stat().st_mtime_ns
    assert len(unpack(archive, out, WANTED)) == 2
    assert first.stat().st_mtime_ns == before
    first.unlink()
    unpack(archive, out, WANTED)
    assert first.read_bytes() == b"x"
    make(tmp_path / "a.tgz", ("S1/poses/x.cdf", b"new"))
    assert unpack(archive, out, WANTED) == (first,)
    assert first.read_bytes() == b"new"
    assert not (out / "S1/poses/old.cdf").exists()


@pytest.mark.parametrize(
    "name", ["../evil.cdf", "/evil.cdf", "S1/poses/../../../evil.cdf", "S1\\..\\evil.cdf", "C:/evil.cdf"]
)
def test_paths_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    archive = make(tmp_path / "a.tgz", (name, b"evil"))
    with pytest.raises(RawDataError, match="the path"):
        unpack(archive, tmp_path / "out", re.compile(".*"))
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    archive = tmp_path / "a.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("S1/poses/x.cdf")
        member.type, member.linkname = kind, str(secret)
        tar.addfile(member)
        add(tar, "S1/poses/x.cdf", b"through the link")
    with pytest.raises(RawDataError, match="a link or device"):
        unpack(archive, tmp_path / "out", WANTED)
    assert secret.read_bytes() == b"secret"


def test_a_file_is_not_written_through_a_linked_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = tmp_path / "a.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        folder = tarfile.TarInfo("S1/poses")
        folder.type, folder.linkname = tarfile.SYMTYPE, str(outside)
        tar.addfile(folder)
        add(tar, "S1/poses/x.cdf", b"through the link")
    with pytest.raises(RawDataError, match="a link or device"):
        unpack(archive, tmp_path / "out", WANTED)
    assert not list(outside.iterdir())


@pytest.mark.parametrize("inside", [True, False], ids=["to a member", "to a file outside"])
def test_hard_links_are_refused_wherever_they_point(tmp_path: Path, inside: bool) -> None:
    archive = tmp_path / "a.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        add(tar, "S1/poses/x.cdf", b"x")
        member = tarfile.TarInfo("S1/poses/y.cdf")
        member.type, member.linkname = tarfile.LNKTYPE, "S1/poses/x.cdf" if inside else "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(RawDataError, match="a link or device"):
        unpack(archive, tmp_path / "out", WANTED)
    assert not (tmp_path / "out/S1/poses/y.cdf").exists()


def test_a_link_that_lay_in_the_target_before_is_replaced_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    place = tmp_path / "out/S1/poses/x.cdf"
    place.parent.mkdir(parents=True)
    place.symlink_to(secret)
    unpack(make(tmp_path / "a.tgz", ("S1/poses/x.cdf", b"x")), tmp_path / "out", WANTED)
    assert secret.read_bytes() == b"secret"
    assert place.read_bytes() == b"x"
    assert not place.is_symlink()


def test_modes_and_owners_are_not_taken_over(tmp_path: Path) -> None:
    archive = tmp_path / "a.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("S1/poses/x.cdf")
        member.mode, member.uid, member.size = 0o6777, 0, 1
        tar.addfile(member, io.BytesIO(b"x"))
    (file,) = unpack(archive, tmp_path / "out", WANTED)
    assert not file.stat().st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR)


def test_of_members_with_one_name_the_last_counts_as_with_tar(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.tgz", ("S1/poses/x.cdf", b"first"), ("S1/poses/x.cdf", b"second"))
    files = unpack(archive, tmp_path / "out", WANTED)
    assert {file.read_bytes() for file in files} == {b"second"}


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.tgz", *((f"S1/poses/{n}.cdf", bytes(10**6)) for n in range(20)))
    assert archive.stat().st_size < 50_000
    limits = ArchiveLimits(member_bytes=2 * 10**6, total_bytes=5 * 10**6)
    with pytest.raises(RawDataError, match="members of"):
        unpack(archive, tmp_path / "out", WANTED, limits)
    assert sum(file.stat().st_size for file in (tmp_path / "out").rglob("*.cdf")) <= limits.total_bytes


@pytest.mark.parametrize(
    "limits", [ArchiveLimits(member_bytes=99), ArchiveLimits(total_bytes=150), ArchiveLimits(members=1)]
)
def test_absurd_sizes_are_refused(tmp_path: Path, limits: ArchiveLimits) -> None:
    archive = make(tmp_path / "a.tgz", ("S1/poses/x.cdf", bytes(100)), ("S1/poses/y.cdf", bytes(100)))
    with pytest.raises(RawDataError, match="members of"):
        unpack(archive, tmp_path / "out", WANTED, limits)


def header_of(size: int, kind: bytes) -> bytes:
    member = tarfile.TarInfo("S1/poses/x.cdf")
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "kind",
    [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK],
)
def test_a_header_that_claims_terabytes_is_refused(tmp_path: Path, kind: bytes) -> None:
    archive = tmp_path / "a.tgz"
    archive.write_bytes(gzip.compress(header_of(2**42, kind) + bytes(10_240)))
    with pytest.raises(RawDataError, match=r"a\.tgz"):
        unpack(archive, tmp_path / "out", WANTED)


def truncated(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def no_archive(_: bytes) -> bytes:
    return b"<html>Please log in</html>"


def other_gzip(_: bytes) -> bytes:
    return gzip.compress(b"no tar" * 1000)


def flipped(whole: bytes) -> bytes:
    return whole[:200] + bytes(byte ^ 0xFF for byte in whole[200:260]) + whole[260:]


@pytest.mark.parametrize("damage", [truncated, no_archive, other_gzip, flipped])
def test_damage_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    noise = bytes(range(256)) * 40
    archive = make(tmp_path / "a.tgz", ("S1/poses/x.cdf", noise), ("S1/poses/y.cdf", noise[::-1] * 3))
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(RawDataError, match=r"a\.tgz") as caught:
        unpack(archive, tmp_path / "out", WANTED)
    assert "Download" in caught.value.remedy
    assert not (tmp_path / "out/.unpacked/a.tgz.json").exists()
    assert not list((tmp_path / "out").rglob("*.part"))


def test_missing_archive(tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match="no readable file"):
        unpack(tmp_path / "a.tgz", tmp_path / "out", WANTED)
