"""Jobs of a benchmark and their results: one JSON line per finished run, recognised by the job's digest.

The file of lines is all that tables, plots and documents are made from. Lines are only appended, each whole
and flushed to the disk; a last line that a crash cut short is dropped.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from poseshift.adaptation.config import Adaptation
from poseshift.adaptation.parts import Labels
from poseshift.adaptation.selection import Criteria, SelectionConfig
from poseshift.adaptation.tuning_config import TuningCheck
from poseshift.augmentation.collapse import Health
from poseshift.augmentation.detector_noise import NO_NOISE, DetectorErrors, DetectorNoise, is_quiet
from poseshift.flows.benchmark.content import Content
from poseshift.flows.benchmark.domains import DOMAINS, DomainName, TargetDomain
from poseshift.flows.benchmark.forms import FormName
from poseshift.flows.experiment.fitting import Teaching
from poseshift.flows.experiment.initial import InitialWeights
from poseshift.storage.model import FrozenModel, is_left_out
from poseshift.storage.provenance import digest_json
from poseshift.training.answer import Rays, RaysOff
from poseshift.training.encoding import EncodingName
from poseshift.training.evaluation.results import Errors, EvaluationResult
from poseshift.training.lifters.config import LifterConfig
from poseshift.training.schedule import Schedule

LINES_FILE = "runs.jsonl"

Choice = Literal["last", "label-free", "oracle"]
"""How a checkpoint is chosen: the end of the schedule, criteria on target keypoints, or the test's labels."""

RaysKind = Literal["off", "snap", "blend", "near", "snap-body", "near-body"]
"""What is done with rays; `near` blends and does not believe keypoints that are far from the answer;
`snap-body` and `near-body` give all frames of a view one body's bones, too."""

CHOICES: tuple[Choice, ...] = ("last", "label-free", "oracle")


class LinesError(ValueError):
    """A file of lines that cannot be used."""


class JobLabel(FrozenModel):
    """What tables need to know of a job."""

    domain: DomainName
    """What is adapted to."""
    form: FormName = "exact"
    """How target and test are measured and detected."""
    split: int = 0
    """Which division of the people over source, target and test."""
    motion: str
    """Title of the motion behind all poses."""
    source_digest: str
    """Content of the source's store."""
    target_digest: str
    """Content of the store that is adapted to."""
    test_digest: str
    """Content of the store that is measured."""
    source_there_digest: str
    """Content of the store of the source's people before the target's cameras."""
    lifter: str
    """Name of the lifter's preset."""
    method: str
    """Name of the method."""
    schedule: Schedule
    """Epochs, batch size, learning rate."""
    seed: int
    """Of the weights and of everything random."""

    @property
    def target(self) -> TargetDomain:
        """The domain that is adapted to."""
        return DOMAINS[self.domain]

    @property
    def title(self) -> str:
        """A short name for people."""
        return (
            f"{self.domain}, {self.form}, split {self.split}, {self.lifter}, {self.method}, seed {self.seed}"
        )


class Job(JobLabel):
    """Everything that decides a run's figures."""

    lifter_config: LifterConfig
    """The network."""
    labels: Labels
    """Whose 3D is learned."""
    adaptation: Adaptation
    """How the labelled poses are moved."""
    encoding: EncodingName
    """How pixels become the network's input."""
    rays: Rays = RaysOff()
    """Whether answers are put on the rays of their keypoints."""
    detector_noise: DetectorNoise = Field(default=NO_NOISE, exclude_if=is_quiet)
    """A detector's errors on the labelled keypoints."""
    selection: SelectionConfig = SelectionConfig()
    """How the label-free criteria are measured."""
    initial: InitialWeights | None = Field(default=None, exclude_if=is_left_out)
    """The trained lifter whose weights are the first ones."""

    @property
    def digest(self) -> str:
        """SHA-256 of the job's canonical JSON."""
        return digest_json(self)

    @property
    def teaching(self) -> Teaching:
        """How the lifter is taught, as a recipe's training says it."""
        return Teaching(
            adaptation=self.adaptation,
            lifter=self.lifter_config,
            encoding=self.encoding,
            rays=self.rays,
            detector_noise=self.detector_noise,
            schedule=self.schedule,
            seed=self.seed,
        )

    @property
    def label(self) -> JobLabel:
        """What tables need to know."""
        return JobLabel.model_validate(self.model_dump(include=set(JobLabel.model_fields)))

    @property
    def settings(self) -> dict[str, JsonValue]:
        """The rest as plain JSON, which later versions can read whatever options they have."""
        return self.model_dump(mode="json", exclude=set(JobLabel.model_fields))


class EpochRecord(FrozenModel):
    """One epoch's lifter."""

    epoch: int
    """Counted from 1."""
    loss: float
    """Mean training loss."""
    criteria: Criteria
    """What the answers to target keypoints say about themselves."""
    mpjpe_mm: float
    """True error on the test."""


class CollapseEvent(FrozenModel):
    """One time that adversarial augmentation collapsed and the run went back."""

    step: int
    """Step at which it was found."""
    signs: tuple[str, ...]
    """What was wrong."""
    to_epoch: int
    """Epoch to whose end the run went back; 0 is the start."""


class RunLine(FrozenModel):
    """One finished run."""

    digest: str
    """Of the job."""
    job: JobLabel
    """What was run."""
    settings: dict[str, JsonValue]
    """In all detail."""
    poses: int
    """Labelled poses learned from."""
    epochs: tuple[EpochRecord, ...]
    """All epochs, in order; none for a run that collapsed for good."""
    chosen: dict[Choice, int]
    """Epoch of the checkpoint that each way of choosing takes."""
    results: tuple[EvaluationResult, ...]
    """Results of the chosen epochs, in the order of the epochs, each once."""
    people: dict[str, str] = Field(default_factory=dict)
    """Who plays each subject of the test, so that splits know a person again; none: subjects are people."""
    by_rays: dict[RaysKind, EvaluationResult] = Field(default_factory=dict)
    """Results of the last epoch's lifter by what is done with its answers."""
    by_content: dict[Content, Errors] = Field(default_factory=dict)
    """Errors of the last epoch's lifter by what people do, every frame alike."""
    rank_correlation: float | None
    """Spearman's correlation over the epochs of the label-free rank with the true error."""
    collapses: tuple[CollapseEvent, ...]
    """Times that the augmentation collapsed."""
    augmentation: Health | None = Field(default=None, exclude_if=is_left_out)
    """Last check of learned augmentation, which says whether its generator follows the poses."""
    tuning: tuple[TuningCheck, ...] = ()
    """What answers to target keypoints were like while the lifter was tuned on them."""
    detector: DetectorErrors | None = Field(default=None, exclude_if=is_left_out)
    """The detector's errors that labelled keypoints were given."""
    given_up: str | None = None
    """Why the run was given up; None for a run that reached its end."""
    seconds: float
    """Wall-clock time of training and evaluation, of the last attempt."""
    cpu_seconds: float | None = Field(default=None, exclude_if=is_left_out)
    """Processor time of that; lines of earlier versions do not have it."""
    device: str
    """Where it ran."""
    git_commit: str | None
    """Commit of the program."""
    versions: dict[str, str]
    """Versions of the software."""

    def under(self, choice: Choice) -> EvaluationResult:
        """Find the result of the checkpoint chosen in this way; KeyError for a run that was given up."""
        epochs = sorted(set(self.chosen.values()))
        return self.results[epochs.index(self.chosen[choice])]

    @property
    def figures(self) -> Mapping[str, object]:
        """Everything but the circumstances: equal for equal jobs on equal machines."""
        return self.model_dump(exclude={"seconds", "cpu_seconds", "device", "git_commit", "versions"})


def read_lines(folder: Path) -> tuple[RunLine, ...]:
    """Read the finished runs of a folder, in the order in which they ended; empty when there are none.

    Raises
    ------
    LinesError
        A whole line cannot be read.
    """
    path = folder / LINES_FILE
    if not path.exists():
        return ()
    *whole, _cut_short = path.read_text(encoding="utf-8").split("\n")
    lines = []
    for number, text in enumerate(whole, start=1):
        try:
            lines.append(RunLine.model_validate_json(text))
        except ValidationError as error:
            raise LinesError(
                f"{path}, line {number}: not a run of this version ({error.error_count()} fields do not fit, "
                f"first {'.'.join(map(str, error.errors()[0]['loc'])) or 'the whole'}); give another folder, "
                "or remove the line to run its job again"
            ) from error
    return tuple(lines)


def append_line(folder: Path, line: RunLine) -> None:
    """Add a finished run; what a crash left of another one at the end of the file is dropped."""
    path = folder / LINES_FILE
    with path.open("ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(line.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
