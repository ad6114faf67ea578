"""What a film that was written says of itself; needs nothing that draws."""

from __future__ import annotations

from poseshift.storage.model import FrozenModel


class WrittenFilm(FrozenModel):
    """What was written."""

    film: str
    """The file."""
    trial: str
    """Trial of the clip, `<subject>/<trial>`."""
    camera: str
    """Its camera."""
    bytes: int
    """Size of the file."""
    first_frame: int
    """Number of the first frame in the trial."""
    last_frame: int
    """Number of the last one."""
    frames: int
    """Frames in the file."""
    frames_in_all: int
    """Frames of the clip."""
