"""From clips to one HTML file that needs nothing else: no address outside, no library.

Text from outside (names of trials, cameras, joints) reaches the page as escaped text or inside JSON in which
no tag can begin; the script only ever puts it in place as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from poseshift.flows.viewer.clips import Motions
from poseshift.flows.viewer.cut import MOST_CLIPS, Choice, choose
from poseshift.flows.viewer.packed import PackedClip, bytes_per_frame, pack
from poseshift.flows.viewer.written import WrittenFilm
from poseshift.storage.files import write_atomically
from poseshift.storage.model import FrozenModel

LARGEST_PAGE_BYTES = 3_000_000
_PAGE_ITSELF_BYTES = 100_000
"""Room for script, style, and what is not frames."""
_CLIP_BYTES = 2_000
"""Room for what a clip has besides its frames."""


@dataclass(frozen=True)
class MotionView:
    """What the template places.

    Attributes
    ----------
    title, lead : str
        Heading and first sentence.
    notes : tuple[str, ...]
        What a reader must know before looking, what was left out among it.
    remarks : tuple[str, ...]
        How things are measured and drawn.
    data : str
        JSON of the clips, safe inside a script element.
    """

    title: str
    lead: str
    notes: tuple[str, ...]
    remarks: tuple[str, ...]
    data: str


class _Data(FrozenModel):
    """The JSON on the page."""

    clips: tuple[PackedClip, ...]


class WrittenPage(FrozenModel):
    """What was written."""

    page: str
    """The file."""
    bytes: int
    """Its size."""
    clips: int
    """Trials and cameras on it."""
    frames: int
    """Frames on it."""
    clips_left_out: int
    """Trials and cameras for which there was no room."""
    frames_left_out: int
    """Frames for which there was no room, those of such clips among them."""
    film: WrittenFilm | None = None
    """The film of one clip, where one was asked for."""


def write_motions(motions: Motions, path: Path, frames: int | None = None) -> WrittenPage:
    """Write the page, all of it or nothing.

    Parameters
    ----------
    motions : Motions
        What to show.
    path : Path
        To write.
    frames : int or None
        At most so many frames in all; None for as many as fit.

    Raises
    ------
    ValueError
        There is not room for one clip, or the page would be too large all the same.
    """
    room = room_for(motions)
    choice = choose(motions.clips, room if frames is None else min(room, frames))
    page = render(motions, choice).encode("utf-8")
    if len(page) > LARGEST_PAGE_BYTES:
        raise ValueError(
            f"{path}: the page would have {len(page):,} bytes, more than {LARGEST_PAGE_BYTES:,}; show fewer "
            "trials or cameras"
        )
    write_atomically(path, page)
    return WrittenPage(
        page=str(path),
        bytes=len(page),
        clips=len(choice.shown),
        frames=sum(len(one.clip.frame) for one in choice.shown),
        clips_left_out=choice.clips_left_out,
        frames_left_out=choice.frames_left_out,
    )


def room_for(motions: Motions) -> int:
    """Count the frames of these clips that fit on a page."""
    widest = max(bytes_per_frame(clip) for clip in motions.clips)
    free = LARGEST_PAGE_BYTES - _PAGE_ITSELF_BYTES - _CLIP_BYTES * min(len(motions.clips), MOST_CLIPS)
    return free // widest


def render(motions: Motions, choice: Choice) -> str:
    """Make the page as HTML text."""
    data = _Data(clips=tuple(pack(one) for one in choice.shown)).model_dump_json()
    environment = Environment(
        loader=PackageLoader("poseshift.flows", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    notes = (*motions.notes, *_left_out(choice))
    view = MotionView(motions.title, motions.lead, notes, motions.remarks, in_script(data))
    return environment.get_template("viewer/page.html.j2").render(view=view)


def in_script(json: str) -> str:
    """Escape JSON so that it can stand inside a script element: no tag and no comment can begin in it."""
    for sign in "<>&\u2028\u2029":
        json = json.replace(sign, f"\\u{ord(sign):04x}")
    return json


def _left_out(choice: Choice) -> tuple[str, ...]:
    if not choice.frames_left_out:
        return ()
    cut = sum(len(one.clip.frame) < one.frames_in_all for one in choice.shown)
    shown = sum(len(one.clip.frame) for one in choice.shown)
    told = (
        f"{shown:,} of {shown + choice.frames_left_out:,} frames are on this page. Of {cut:,} clips it has a "
        "stretch round the worst frame (largest error or estimate), the best and the median frame; means are "
        "over all of their frames."
    )
    if not choice.clips_left_out:
        return (told,)
    return (
        told,
        f"{choice.clips_left_out:,} of {len(choice.shown) + choice.clips_left_out:,} clips are not on it; "
        "choose them by --subject, --trial and --camera.",
    )
