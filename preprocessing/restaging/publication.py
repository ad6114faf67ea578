"""Folders that appear whole or not at all, and never in the place of somebody's work."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.raw import RESTAGED_MARKER


@contextmanager
def published(out: Path) -> Iterator[Path]:
    """Give a folder to write into that takes the place of ``out`` when all went well, and else vanishes."""
    _require_own(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as work:
        made, retired = Path(work) / "made", Path(work) / "retired"
        made.mkdir()
        yield made
        if out.exists():
            out.rename(retired)
        made.rename(out)
        if retired.exists():
            shutil.rmtree(retired)


def _require_own(out: Path) -> None:
    """Refuse a place that holds anything but an earlier restaging."""
    if not out.exists():
        return
    if not out.is_dir():
        found = "a file"
    else:
        foreign = sorted(entry.name for entry in out.iterdir() if not (entry / RESTAGED_MARKER).is_file())
        if not foreign:
            return
        found = f"{foreign[0]!r}, which restaging did not make"
    raise RawDataError(
        out,
        found=found,
        expected="an empty or absent folder, or an earlier restaging",
        remedy="Give another place, or move it away yourself: it is not overwritten.",
    )
