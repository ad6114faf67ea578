"""What the stages work on: small raw trees of procedural motion, and stores made from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from poseshift.flows.prepare import PrepareRequest, prepare_store
from poseshift.preprocessing.motion.procedural import generate
from poseshift.preprocessing.restaging.restage import restage
from poseshift.storage.store import PoseStore


@dataclass(frozen=True)
class Scene:
    """A folder with raw trees and the two stores that training and alignment read.

    Attributes
    ----------
    folder : holds ``raw/human36m``, ``raw/mpi_inf_3dhp``, ``stores/source`` and ``stores/target``.
    """

    folder: Path

    @property
    def human36m(self) -> Path:
        """The raw tree of Human3.6M."""
        return self.folder / "raw" / "human36m"

    @property
    def mpi_inf_3dhp(self) -> Path:
        """The raw tree of MPI-INF-3DHP."""
        return self.folder / "raw" / "mpi_inf_3dhp"

    @property
    def source(self) -> str:
        """The store of labelled poses."""
        return str(self.folder / "stores" / "source")

    @property
    def target(self) -> str:
        """The store of the target."""
        return str(self.folder / "stores" / "target")

    def verify(self) -> tuple[str, ...]:
        """Verify the stores that stages only read; return what is wrong with them."""
        return tuple(
            problem
            for place in (self.source, self.target)
            for problem in PoseStore.open(place).verify().problems
        )


def set_scene(folder: Path, seed: int) -> Scene:
    """Restage procedural motion in a new folder and prepare the two stores."""
    scene = Scene(folder)
    motions = generate(seed=seed, clips_per_subject=2, frames_per_clip=40)
    restage(motions, folder / "raw", seed=seed, motion="procedural motion of the fault injection")
    kinds: tuple[tuple[str, Path, str], ...] = (
        ("human36m", scene.human36m, scene.source),
        ("mpi-inf-3dhp-train", scene.mpi_inf_3dhp, scene.target),
    )
    for kind, raw, store in kinds:
        prepare_store(PrepareRequest(kind=kind, raw=raw, store=store))
    return scene
