"""The stores of the comparison: somebody's own cameras, and other people, whom lifters learn from."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.own_cameras.scene import FPS, Clip, Detector, calibration, telephones, write_clip

from poseshift.preprocessing.motion.sources import load

CLIPS = (
    ("cmu49", "cmu91"),
    ("cmu17", "cmu104"),
    ("cmu93", "cmu49"),
    ("cmu91", "cmu17"),
    ("cmu104", "cmu93"),
)
"""Who is in each clip. Nobody here taught or calibrated the finder of where up is that ships; the lifter that
ships has learned from everybody in the bundle."""

PEOPLE = tuple(dict.fromkeys(person for clip in CLIPS for person in clip))
DOMAIN = "own_cameras"
FREE_MOTION, HUMAN36M = "free_motion", "human36m"


@dataclass(frozen=True)
class Stores:
    """Where the stores and what is withheld lie."""

    folder: Path

    @property
    def target(self) -> str:
        """The unlabelled store."""
        return str(self.folder / "stores" / DOMAIN)

    def source(self, dataset: str) -> str:
        """Name the labelled store of the other people, free motion or the restaged Human3.6M."""
        return str(self.folder / "stores" / dataset)

    @property
    def withheld(self) -> Path:
        """Folder of the 3D."""
        return self.folder / "files" / "withheld"


def poseshift(*arguments: object) -> None:
    """Run the command as a user does; its complaints are shown."""
    command = [sys.executable, "-m", "poseshift.flows.cli", *map(str, arguments)]
    print("poseshift", *arguments, flush=True)
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def make(motion: Path, folder: Path, seed: int, detector: Detector) -> None:
    """Write the files, and make the stores of them by the commands that a user gives.

    Parameters
    ----------
    motion : Path
        A bundle in which the people of ``CLIPS`` are.
    folder : Path
        To be made.
    seed : int
        Of cameras, places, noise and dropped joints.
    detector : Detector
        Whose keypoints.
    """
    stores = Stores(folder)
    files = folder / "files"
    files.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    cameras = telephones(rng)
    rig = files / "rig.toml"
    rig.write_text(calibration(cameras), encoding="utf-8")
    motions = load(str(motion))
    turn = dict.fromkeys(PEOPLE, 0)
    for number, names in enumerate(CLIPS, start=1):
        played = []
        for name in names:
            own = [one for one in motions if one.subject == name]
            played.append(own[turn[name] % len(own)])
            turn[name] += 1
        clip = write_clip(f"clip{number}", played, cameras, detector, files, rng)
        add(clip, rig, stores.target)
    make_sources(motion, folder, seed)


def make_sources(motion: Path, folder: Path, seed: int) -> None:
    """Prepare the motion of everybody else, as free motion and as a restaged Human3.6M."""
    stores, files = Stores(folder), folder / "files"
    with np.load(motion) as held:
        others = {key: held[key] for key in held.files if key.partition("/")[0] not in PEOPLE}
    bundle = files / "others.npz"
    np.savez(bundle, **others)
    described = json.loads(motion.with_suffix(".json").read_text(encoding="utf-8"))
    title = f"{described['title']}, without {', '.join(PEOPLE)}"
    bundle.with_suffix(".json").write_text(
        json.dumps({"title": title, "fps": described["fps"]}), encoding="utf-8"
    )
    poseshift("prepare", "free-motion", bundle, stores.source(FREE_MOTION))
    poseshift("restage", "--out", folder / "raw", "--motion", bundle, "--seed", seed)
    poseshift("prepare", "human36m", folder / "raw" / "human36m", stores.source(HUMAN36M))


def add(clip: Clip, rig: Path, store: str) -> None:
    """Add a clip to the domain."""
    keypoints = [
        part for camera, path in clip.keypoints.items() for part in ("--keypoints", f"{camera}={path}")
    ]
    known = ("--cameras", rig, "--world-up", "z", "--fps", f"{FPS:g}", "--clip", clip.name)
    poseshift("domain", "add", DOMAIN, "--store", store, *keypoints, *known)
