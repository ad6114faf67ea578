"""What the doctor finds: a leftover with its reason, and what mending does about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from poseshift.storage.model import FrozenModel

Kind = Literal[
    "flow run",
    "slot",
    "lock",
    "temporary server",
    "half stage",
    "half store",
    "half file",
    "superseded folder",
    "unreachable objects",
    "not looked at",
]

State = Literal["leftover", "note", "mended", "not mended"]
"""A note is nothing to mend here, or nothing yet; it leaves the exit code as it is."""


class Finding(FrozenModel):
    """One thing that was found."""

    kind: Kind
    where: str
    """Its path, or its name and id in Prefect."""
    why: str
    """Why it is a leftover."""
    mending: str
    """What mending does; of a note, what somebody may do."""
    state: State = "leftover"
    remark: str = ""
    """Why it could not be mended."""


@dataclass(frozen=True)
class Leftover:
    """A finding and its cure, which looks again before it does anything; None for a note."""

    finding: Finding
    cure: Callable[[], None] | None


class StillInUseError(RuntimeError):
    """What looked like a leftover is in use by now."""


class Findings(FrozenModel):
    """What ``doctor --json`` answers with."""

    findings: tuple[Finding, ...]

    @property
    def remaining(self) -> tuple[Finding, ...]:
        """Leftovers that are still there."""
        return tuple(one for one in self.findings if one.state in ("leftover", "not mended"))


def note(kind: Kind, where: object, why: str, advice: str) -> Leftover:
    """Make a finding that is not mended here."""
    return Leftover(Finding(kind=kind, where=str(where), why=why, mending=advice, state="note"), None)


def leftover(kind: Kind, where: object, why: str, mending: str, cure: Callable[[], None]) -> Leftover:
    """Make a finding with its cure."""
    return Leftover(Finding(kind=kind, where=str(where), why=why, mending=mending), cure)


def listed(found: Iterable[Leftover]) -> Findings:
    """List what was found, mending nothing."""
    return Findings(findings=tuple(one.finding for one in found))


def mended(found: Iterable[Leftover]) -> Findings:
    """Mend what can be mended; what cannot stays, with the reason."""
    return Findings(findings=tuple(_mended(one) for one in found))


def _mended(one: Leftover) -> Finding:
    if one.cure is None:
        return one.finding
    try:
        one.cure()
    except Exception as error:  # one that cannot be mended must not keep the others
        remark = str(error) or type(error).__name__
        return one.finding.model_copy(update={"state": "not mended", "remark": remark})
    return one.finding.model_copy(update={"state": "mended"})
