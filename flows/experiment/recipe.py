"""The recipe: one YAML file that names everything that an experiment depends on.

A recipe is a frozen pydantic model. The same model is the parameter of the Prefect flow, so the Prefect UI
shows a form for it, and its digest is recorded with every result. Paths are taken relative to the folder from
which ``poseshift`` is started. Nothing here reads data.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from poseshift.adaptation.method import Method, Role
from poseshift.adaptation.methods import METHODS, MethodChoice
from poseshift.augmentation.detector_noise import DetectorNoise
from poseshift.geometry.skeleton import SKELETONS
from poseshift.storage.model import FrozenModel, Name, UserPath, home_written_out, is_left_out, is_still
from poseshift.storage.provenance import digest_json
from poseshift.storage.reading import Selection
from poseshift.storage.registry import load_plugins
from poseshift.storage.schema import Dataset, PositionsKind
from poseshift.storage.sentences import first_few
from poseshift.storage.text import TextEncodingError, read_text
from poseshift.training.answer import Rays
from poseshift.training.encoding import EncodingName
from poseshift.training.evaluation.protocols import names_for, protocol
from poseshift.training.lifters.config import CONFIGS, LifterConfig, LifterConfigBase, LifterConfigError
from poseshift.training.lifters.registry import preset, skeleton_of
from poseshift.training.schedule import Schedule

CheckpointChoice = Literal["last", "label-free"]
"""Which epoch's lifter is kept: the last one's, or the one that criteria on the target's keypoints choose."""


def _is_none(value: object) -> bool:
    """Leave a later field out of the JSON while it says nothing: digests of earlier recipes stay the same."""
    return value is None


class RecipeError(ValueError):
    """A recipe that cannot be used; the message names the file, each field, and how to mend it."""


class StoredData(FrozenModel):
    """A data set: which it is and where it lies."""

    dataset: Dataset
    """Which release this is, such as human36m, mpi_inf_3dhp_train or mpi_inf_3dhp_test."""
    store: str
    """Folder or Icechunk location (s3://bucket/prefix); brought up to date from `raw` when that is given."""
    raw: UserPath | None = None
    """Root of the raw release tree; leave it out to use the store as it is."""
    keypoints: str = "ground_truth"
    """2D keypoints to use: ground_truth, or the name of a detector whose results the store holds."""
    least_confidence: float = Field(default=0.0, ge=0, exclude_if=is_still(0.0))
    """Joints that a detector is less sure of count as not seen."""
    snapshot: str | None = None
    """Snapshot of the store to read, however far it has moved on; the newest one when left out."""

    @model_validator(mode="after")
    def _pinned_or_prepared(self) -> Self:
        if self.snapshot is not None and self.raw is not None:
            raise ValueError(
                f"{self.store} is to be read at snapshot {self.snapshot}, which raw files cannot change; "
                "leave out `raw` or `snapshot`"
            )
        return self


class PoseData(StoredData):
    """Poses of a data set to learn from."""

    subjects: tuple[Name, ...] | None = None
    """Subjects to use, such as [S1, S5]; all of them when left out."""
    cameras: tuple[Name, ...] | None = None
    """Cameras to use, by the data set's own names; all of them when left out."""
    frame_step: int = Field(default=1, ge=1)
    """Use every n-th frame, counted from each trial's first."""
    longest_gap_s: float = Field(default=0.0, ge=0, exclude_if=is_still(0.0))
    """Joints that are not seen for at most so many seconds are filled in over time; 0 fills nothing."""
    positions: PositionsKind | None = Field(default=None, exclude_if=is_left_out)
    """Which 3D is learned: annotated (true sizes) or universal (one size for all people, MPI-INF-3DHP).

    Left out, it is what the store holds as its positions; a method that learns the target's own 3D, such as
    target_supervised, then learns the kind that the first protocol measures.
    """

    @property
    def selection(self) -> Selection:
        """The rows that this part of the recipe means."""
        return Selection(
            subjects=self.subjects,
            cameras=self.cameras,
            frame_step=self.frame_step,
            positions=self.positions,
            keypoints=self.keypoints,
            least_confidence=self.least_confidence,
            longest_gap_s=self.longest_gap_s,
        )


class Test(FrozenModel):
    """What the lifters are tested on, and how errors are counted."""

    __test__ = False  # not a test case, whatever pytest thinks of its name

    data: StoredData
    """The test poses; their 3D serves to score only. Protocols choose subjects, cameras and frames."""
    protocols: tuple[str, ...] = Field(min_length=1)
    """Evaluation protocols by name, the headline first; `poseshift models --protocols` lists them."""

    @field_validator("protocols")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            protocol(name)
        return names

    @model_validator(mode="after")
    def _of_this_data_set(self) -> Test:
        for name in self.protocols:
            measured = protocol(name).dataset
            if measured != self.data.dataset:
                fitting = ", ".join(names_for(self.data.dataset)) or "none"
                raise ValueError(
                    f"protocol {name} measures {measured}, not {self.data.dataset}; "
                    f"protocols for that: {fitting}"
                )
        return self


class Recipe(FrozenModel):
    """Everything that an experiment depends on."""

    plugins: tuple[str, ...] = ()
    """Modules of your own that add lifters, methods, metrics and more, such as [my_lab.lifters]."""
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Name of the experiment; letters, digits, dot, dash and underscore."""
    run_dir: UserPath
    """Folder for everything that the experiment writes."""
    source: PoseData
    """Labelled poses to learn from."""
    target: PoseData | None = None
    """The domain to adapt to. Adaptation sees its 2D keypoints and intrinsics only, never its 3D.

    Methods that need none do without. With no test either, label-free criteria are those of the source's own
    keypoints.
    """
    test: Test | None = None
    """What the lifters are tested on; without it, the report has label-free criteria in place of errors."""
    lifter: LifterConfig
    """The network: a preset's name, or a full configuration (`poseshift models` lists both)."""
    skeleton: str | None = Field(default=None, exclude_if=_is_none)
    """Joint set in place of the lifter's own, such as poseaug_16; all poses are mapped to it."""
    initial: str | None = Field(default=None, exclude_if=_is_none)
    """Trained lifter whose weights every training starts from: its folder, or the name of a shipped one.

    `{seed}` in it is the seed.
    """
    method: MethodChoice = METHODS["source_only"]
    """The method that the recipe is for: a name (see `poseshift models --methods`), or an entry in full."""
    compare: tuple[MethodChoice, ...] = ()
    """Methods trained beside it with the same lifter and schedule, such as [source_only, gpa]."""
    encoding: EncodingName | None = None
    """Encoding of the input for every method, in place of the methods' own: screen, ray or perspective."""
    rays: Rays | None = None
    """Whether answers are put on their keypoints' rays, in place of the methods' own: off, snap or blend."""
    detector_noise: DetectorNoise | None = Field(default=None, exclude_if=is_left_out)
    """A detector's errors on the source's keypoints, in place of the methods' own: off, fitted or fixed."""
    schedule: Schedule = Schedule()
    """Epochs, batch size, learning rate; the same for every lifter of the recipe."""
    clip_hz: float | None = Field(default=None, gt=0, exclude_if=is_left_out)
    """Frames per second of the clips that a lifter of clips learns, by every method.

    Left out, the target's slowest rate; for methods that see no target, the source's.
    """
    selection: CheckpointChoice = "last"
    """Which epoch's lifter is kept of those that are adapted: the last, or label-free by the target's 2D."""
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    """One lifter of each kind is trained per seed."""
    device: str = "auto"
    """Where to train: auto, cpu, cuda or cuda:<n>."""
    threads: int | None = Field(default=None, ge=1, exclude_if=is_left_out)
    """Threads to compute with on a CPU; left out, one for a small lifter, and as many as cores for others."""
    jobs: int | None = Field(default=None, ge=1, exclude_if=is_left_out)
    """Lifters to train at the same time, each in a process of its own; changes no result.

    Left out, as many on a CPU as processors and memory have room for, and one on a GPU.
    """
    dask: str | None = None
    """Address of a Dask scheduler (tcp://host:8786) whose workers read raw files and predict."""

    @model_validator(mode="before")
    @classmethod
    def _with_plugins(cls, content: Any) -> Any:
        """Import what the rest of the recipe may name."""
        named = content.get("plugins") if isinstance(content, dict) else None
        if isinstance(named, (list, tuple)):
            load_plugins(str(module) for module in named)
        return content

    @field_validator("initial")
    @classmethod
    def _at_home(cls, folder: str | None) -> str | None:
        if folder is None or not folder.startswith("~"):
            return folder
        return str(home_written_out(Path(folder)))

    @field_validator("lifter", mode="before")
    @classmethod
    def _preset(cls, value: Any) -> Any:
        return preset(value) if isinstance(value, str) else value

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds {list(seeds)} repeat themselves; give each seed once")
        return seeds

    @model_validator(mode="after")
    def _methods_fit(self) -> Recipe:
        names = self.methods
        if len(set(names)) < len(names):
            raise ValueError(
                f"the methods {', '.join(names)} repeat a name; `compare` is for methods other than "
                "`method`, and a variant of an entry needs a name of its own"
            )
        for method in self.entries:
            if method.labels == "source_in_target":
                raise ValueError(
                    f"method {method.name!r} learns the source's people in front of the target's cameras, "
                    "which only `poseshift benchmark` has"
                )
            if method.needs_target and self.target is None:
                raise ValueError(
                    f"method {method.name!r} needs a target; add `target:` or set `method: source_only`"
                )
        return self

    @model_validator(mode="after")
    def _on_joints_that_are_measured(self) -> Recipe:
        if self.skeleton is not None and self.skeleton not in SKELETONS:
            raise ValueError(f"no skeleton {self.skeleton!r}; there are {', '.join(sorted(SKELETONS))}")
        joints = skeleton_of(self.network)
        for name in () if self.test is None else self.test.protocols:
            protocol(name).require_measurable(joints)
        return self

    @model_validator(mode="after")
    def _selectable(self) -> Recipe:
        if self.selection == "label-free":
            if all(method.role != "adapted" for method in self.entries):
                raise ValueError(
                    "label-free selection looks at the target's keypoints; choose a `method:` that adapts "
                    "and a `target:`, or set `selection: last`"
                )
            if self.schedule.ema_decay is not None:
                raise ValueError(
                    "label-free selection keeps one epoch's weights and ema_decay an average over all; leave "
                    "out one of them"
                )
        return self

    @property
    def network(self) -> LifterConfig:
        """The lifter with the recipe's joint set; ValueError where its kind has no such choice."""
        if self.skeleton is None or self.skeleton == skeleton_of(self.lifter):
            return self.lifter
        kind = type(self.lifter)
        if "skeleton" not in kind.model_fields:
            raise ValueError(f"lifter {self.lifter.name} has no choice of `skeleton`; leave it out")
        return kind.model_validate({**self.lifter.model_dump(), "skeleton": self.skeleton})

    @property
    def entries(self) -> tuple[Method, ...]:
        """Every method that is trained, in the order of the results: baselines, adapted ones, references."""
        given = {"encoding": self.encoding, "rays": self.rays, "detector_noise": self.detector_noise}
        override = {name: value for name, value in given.items() if value is not None}
        # The target's own keypoints are the detector's already.
        of_target = {name: value for name, value in override.items() if name != "detector_noise"}
        order: tuple[Role, ...] = ("baseline", "adapted", "reference")
        ordered = sorted((*self.compare, self.method), key=lambda method: order.index(method.role))
        return tuple(
            method.model_copy(update=override if method.labels == "source" else of_target)
            for method in ordered
        )

    @property
    def required_test(self) -> Test:
        """The test of a recipe that has one; ValueError of one that has none."""
        if self.test is None:
            raise ValueError(f"recipe {self.name} has no `test:`, and without 3D nothing can be measured")
        return self.test

    @property
    def watched(self) -> PoseData | None:
        """Poses by whose keypoints lifters are measured without labels; None where a test measures them."""
        if self.test is not None:
            return None
        return self.source if self.target is None else self.target

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of :attr:`entries`."""
        return tuple(method.name for method in self.entries)

    def entry(self, name: str) -> Method:
        """Return one of :attr:`entries` by its name; KeyError when the recipe does not train it."""
        return {method.name: method for method in self.entries}[name]

    @property
    def digest(self) -> str:
        """SHA-256 of the recipe's canonical JSON, without `jobs`, which changes no result."""
        return digest_json(self.model_copy(update={"jobs": None}))


def load_recipe(path: Path) -> Recipe:
    """Read a recipe from YAML.

    Parameters
    ----------
    path : Path
        A YAML file holding one mapping.

    Returns
    -------
    Recipe
        The validated recipe.

    Raises
    ------
    RecipeError
        The file is missing, is not YAML, or holds fields that do not fit; the message has the first three and
        counts the others.
    """
    try:
        content = yaml.safe_load(read_text(path))
    except OSError as error:
        raise RecipeError(
            f"{path}: cannot be read ({error.strerror}); give the path of a YAML recipe"
        ) from error
    except TextEncodingError as error:
        raise RecipeError(str(error)) from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{path}: is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{path}: holds {type(content).__name__}; a recipe is a mapping of fields")
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        told = first_few([_mend(problem) for problem in _flattened(error.errors())])
        lines = "\n".join(f"  {line}" for line in told)
        raise RecipeError(f"{path}: this recipe cannot be used:\n{lines}") from error


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe as YAML that :func:`load_recipe` reads back to an equal recipe."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


def _flattened(problems: Iterable[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Put what is wrong inside a lifter's configuration beside the other problems."""
    for problem in problems:
        cause = problem.get("ctx", {}).get("error")
        if not isinstance(cause, LifterConfigError):
            yield problem
            continue
        for inner in cause.problems:
            yield {**inner, "loc": (*problem["loc"], cause.name, *inner["loc"])}


def _mend(problem: ErrorDetails) -> str:
    """One line for one validation error: where, what, how to mend."""
    where = ".".join(str(step) for step in problem["loc"]) or "recipe"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{where}: is missing; add it"
    if problem["type"] == "extra_forbidden":
        allowed = _fields_at(problem["loc"][:-1])
        near = difflib.get_close_matches(str(problem["loc"][-1]), allowed, n=1)
        hint = (
            f"did you mean {near[0]!r}?" if near else f"known fields: {', '.join(allowed)}" if allowed else ""
        )
        return f"{where}: is not a field of a recipe; {hint or 'remove it'}"
    return f"{where}: {message}; got {problem['input']!r}"


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the model at ``location``, empty where that is not a plain nested model."""
    models: list[type[BaseModel]] = [Recipe]
    tag: object = None
    for step in location:
        if isinstance(step, int):  # a place in a list
            continue
        if isinstance(tag, str):  # inside a union, pydantic first names the member that it tried
            models, tag = [model for model in models if model.model_fields[tag].default == step], None
            continue
        field = models[0].model_fields.get(str(step)) if models else None
        if field is None:
            return []
        if field.annotation is LifterConfigBase:
            models, tag = list(CONFIGS.values()), "name"
            continue
        candidates = [
            getattr(kind, "__origin__", kind)
            for kind in (field.annotation, *getattr(field.annotation, "__args__", ()))
        ]
        models = [kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)]
        tag = field.discriminator
    return list(models[0].model_fields) if models else []
