"""A file system without hard links, as exFAT is: stores are made, written to and told apart from others."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from poseshift.storage.files import has_hard_links
from poseshift.storage.store import PoseStore

SOURCE = """
#include <errno.h>
int link(const char *a, const char *b) { errno = EPERM; return -1; }
int linkat(int a, const char *b, int c, const char *d, int e) { errno = EPERM; return -1; }
"""

WRITE = """
import sys
import numpy as np
from poseshift.geometry.camera import Camera
from poseshift.storage.schema import Trial, TrialKey
from poseshift.storage.expiry import expire
from poseshift.storage.store import PoseStore, StoreError
from poseshift.storage.tags import add_tag
from datetime import UTC, datetime
camera = Camera(name="c", size_px=(10, 8), focal_px=(9.0, 9.0), centre_px=(5.0, 4.0))
trial = Trial(key=TrialKey("S1", sys.argv[2]), action="walk", subaction="1", fps=50.0, cameras=(camera,),
    positions_world=np.ones((4, 17, 3), np.float32), keypoints_2d=np.ones((1, 4, 17, 2), np.float32))
try:
    store = PoseStore.open_or_create(sys.argv[1], "my_data")
    with store.transaction("write") as transaction:
        transaction.write(trial)
    if sys.argv[3:]:
        add_tag(store, sys.argv[3])
        expire(store, 0, {}, datetime.now(UTC))
except StoreError as error:
    sys.exit(str(error))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Write a trial into a store, in a process for which link() fails as on exFAT when asked to.

    The arguments are the trial's name and, to tag the new snapshot and expire all others, a tag.
    """
    folder = tmp_path_factory.mktemp("nolink")
    (folder / "nolink.c").write_text(SOURCE)
    library = folder / "nolink.so"
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "this test needs a C compiler"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(folder / "nolink.c")], check=True)

    def write(store: Path, *arguments: str, links: bool) -> subprocess.CompletedProcess[str]:
        environment = dict(os.environ) if links else {**os.environ, "LD_PRELOAD": str(library)}
        return subprocess.run(
            [sys.executable, "-c", WRITE, str(store), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return write


def test_a_store_is_made_and_written_to_without_hard_links(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    for name in ("walk", "sit"):
        done = run(store, name, links=False)
        assert done.returncode == 0, done.stderr
    assert [key.trial for key in PoseStore.open(store).keys()] == ["sit", "walk"]
    assert PoseStore.open(store).verify().succeeded
    assert {path.name for path in tmp_path.iterdir()} <= {"store", "store.lock"}


def test_snapshots_are_tagged_and_expire_without_hard_links(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    for arguments in (("walk", "first"), ("sit",), ("lie", "last")):
        done = run(store, *arguments, links=False)
        assert done.returncode == 0, done.stderr
    opened = PoseStore.open(store)
    assert opened.verify().succeeded
    assert [key.trial for key in PoseStore.open(store, "first").keys()] == ["walk"]
    assert len(opened.history()) == 1


def test_a_store_that_was_moved_there_can_be_written_to(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    assert run(store, "walk", links=True).returncode == 0
    done = run(store, "sit", links=False)
    assert done.returncode == 0, done.stderr
    assert [key.trial for key in PoseStore.open(store).keys()] == ["sit", "walk"]


def test_hard_links_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_hard_links(tmp_path / "new")

    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert not has_hard_links(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]
