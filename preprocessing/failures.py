"""A bad raw file in a report: what was found, what was expected, what to do."""

from __future__ import annotations

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.raw import PlannedTrial
from poseshift.storage.model import FrozenModel


class Failure(FrozenModel):
    """One bad file with its reason."""

    path: str
    found: str
    expected: str
    remedy: str
    errno: int | None = None
    """The system's error number when it could not read the file: that may pass, a damaged file does not."""

    @classmethod
    def of(cls, error: RawDataError) -> Failure:
        """Describe a file that is not what it should be."""
        return cls(path=str(error.path), found=error.found, expected=error.expected, remedy=error.remedy)

    @classmethod
    def unreadable(cls, planned: PlannedTrial, error: OSError) -> Failure:
        """Describe a file of a trial that the system could not read."""
        return cls(
            path=str(error.filename or planned.sources[0]),
            found=f"a file that the system could not read ({error.strerror or error})",
            expected="a readable file",
            remedy="Check that it exists, its permissions and the disk; then run prepare again.",
            errno=error.errno,
        )
