"""What a benchmark runs: suites, efforts, and the jobs that they come to."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from types import MappingProxyType
from typing import Literal

from pydantic import Field, field_validator

from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.selection import SelectionConfig
from poseshift.flows.benchmark.data import BenchmarkData
from poseshift.flows.benchmark.domains import DOMAINS, DomainName
from poseshift.flows.benchmark.forms import FORMS, FormName
from poseshift.flows.benchmark.lines import Job
from poseshift.flows.benchmark.suites import ABLATED, COMPARED, COMPARED_SHORT
from poseshift.storage.model import FrozenModel
from poseshift.training.lifters.registry import preset
from poseshift.training.schedule import Schedule

Suite = Literal["adaptation", "ablation"]
Effort = Literal["short", "full"]


DEVELOPMENT_SPLIT = 0
"""The division of the people on which settings are chosen."""

REPORTED_SPLITS = (1, 2, 3)
"""Those that tables show."""


class Plan(FrozenModel):
    """The runs of a benchmark: every combination of lifter, method, domain and seed."""

    lifters: tuple[str, ...] = Field(min_length=1)
    """Presets of lifters."""
    methods: tuple[str, ...] = Field(min_length=1)
    """Methods by name."""
    domains: tuple[DomainName, ...] = Field(min_length=1)
    """Target domains by name."""
    forms: tuple[FormName, ...] = ("exact",)
    """How target and test are measured and detected."""
    splits: tuple[int, ...] = Field(default=REPORTED_SPLITS, min_length=1)
    """Divisions of the people; 0 is the one on which settings were chosen, which no table uses."""
    seeds: int = Field(ge=1)
    """Number of seeds, from 0."""
    schedule: Schedule
    """Of every lifter that has none of its own."""
    own_schedules: Mapping[str, Schedule] = {}
    """Of lifters, by their presets' names: the same for all methods."""
    own_selections: Mapping[str, SelectionConfig] = {}
    """How the label-free criteria of lifters are measured, likewise."""

    @field_validator("lifters")
    @classmethod
    def _known_lifters(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            preset(name)
        return names

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            METHODS[name]
        return names

    def jobs(self, data: Mapping[int, BenchmarkData]) -> tuple[Job, ...]:
        """List the runs, all of one seed and split before the next, so that an unfinished table is even.

        Parameters
        ----------
        data : Mapping[int, BenchmarkData]
            The stores of every split.
        """
        return tuple(
            Job(
                domain=domain,
                form=form,
                split=split,
                motion=data[split].stores.motion,
                source_digest=data[split].stores.digests["human36m"],
                target_digest=data[split].stores.digests[DOMAINS[domain].train],
                test_digest=data[split].stores.digests[DOMAINS[domain].test],
                source_there_digest=data[split].stores.digests[DOMAINS[domain].source_there],
                lifter=lifter,
                lifter_config=preset(lifter),
                method=name,
                labels=METHODS[name].labels,
                adaptation=METHODS[name].adaptation,
                encoding=METHODS[name].encoding,
                rays=METHODS[name].rays,
                detector_noise=METHODS[name].detector_noise,
                schedule=self.own_schedules.get(lifter, self.schedule),
                selection=self.own_selections.get(lifter, SelectionConfig()),
                seed=seed,
            )
            for seed, split, lifter, domain, form, name in product(
                range(self.seeds),
                self.splits,
                self.lifters,
                self.domains,
                self.forms,
                self.methods,
            )
        )


_SHORT = Schedule(epochs=6, steps_per_epoch=400, batch_size=256, learning_rate=1e-2, warmup_steps=200)
_SHORT_DEEP = _SHORT.model_copy(update={"learning_rate": 5e-3})
_SHORT_ATTENTION = Schedule(
    epochs=8, steps_per_epoch=200, batch_size=128, learning_rate=1e-2, warmup_steps=100
)
_SHORT_GRAPH = Schedule(epochs=8, steps_per_epoch=250, batch_size=128, learning_rate=3e-2, warmup_steps=100)

_SHORT_SEQUENCES = Schedule(epochs=1, steps_per_epoch=700, batch_size=4, learning_rate=2e-3, warmup_steps=30)
_SHORT_CONVOLUTIONS = Schedule(
    epochs=1, steps_per_epoch=1400, batch_size=8, learning_rate=2e-3, warmup_steps=30
)
_SHORT_CLIP_GRAPH = Schedule(
    epochs=1, steps_per_epoch=1000, batch_size=8, learning_rate=1e-2, warmup_steps=100
)

_SHORT_OF: Mapping[str, Schedule] = MappingProxyType(
    {
        "videopose3d-1f-small": _SHORT_DEEP,
        "videopose3d-27f-small": _SHORT_DEEP,
        "ampose-small": _SHORT_ATTENTION,
        "st-gcn-small": _SHORT_GRAPH,
        "semgcn-small": _SHORT_GRAPH,
        "mixste-small": _SHORT_SEQUENCES,
        "ktpformer-small": _SHORT_SEQUENCES,
        "convformer-small": _SHORT_CONVOLUTIONS,
        "gla-gcn-small": _SHORT_CLIP_GRAPH,
    }
)
"""Lifters with features of every joint take about ten times as long a step on a CPU; those whose joints see
their neighbours alone learn slowest. VideoPose3D is twice as deep as SimpleBaseline: at the same rate some of
its runs answer far too large for poses unlike those that they learned from (docs/results.md). The
published lifters of clips take some milliseconds a clip: they see fewer, in small batches, since many small
steps leave the mean pose sooner than few large ones."""

_SHORT_SELECTION_OF: Mapping[str, SelectionConfig] = MappingProxyType(
    {
        "mixste-small": SelectionConfig(clips=100),
        "ktpformer-small": SelectionConfig(clips=100),
        "convformer-small": SelectionConfig(clips=250),
        "gla-gcn-small": SelectionConfig(clips=250),
    }
)
"""So that criteria do not take as long as the training; two of these answer for all 27 frames of a clip."""

_FULL = Schedule(epochs=20, steps_per_epoch=500, batch_size=1024, learning_rate=1e-3, warmup_steps=500)

_EVERYWHERE: tuple[DomainName, ...] = tuple(DOMAINS)

PLANS: Mapping[tuple[Suite, Effort], Plan] = MappingProxyType(
    {
        ("adaptation", "short"): Plan(
            lifters=("simple-baseline-small",),
            methods=COMPARED_SHORT,
            domains=_EVERYWHERE,
            forms=("exact", "laboratory"),
            seeds=1,
            schedule=_SHORT,
            own_schedules=_SHORT_OF,
            own_selections=_SHORT_SELECTION_OF,
        ),
        ("adaptation", "full"): Plan(
            lifters=("simple-baseline", "videopose3d-1f", "videopose3d-27f", "semgcn", "st-gcn", "ampose"),
            methods=COMPARED,
            domains=_EVERYWHERE,
            forms=tuple(FORMS),
            seeds=5,
            schedule=_FULL,
        ),
        ("ablation", "short"): Plan(
            lifters=("simple-baseline-small",),
            methods=ABLATED,
            domains=("chest-height",),
            seeds=3,
            schedule=_SHORT,
            own_schedules=_SHORT_OF,
            own_selections=_SHORT_SELECTION_OF,
        ),
        ("ablation", "full"): Plan(
            lifters=("ampose",),
            methods=ABLATED,
            domains=_EVERYWHERE,
            seeds=5,
            schedule=_FULL,
        ),
    }
)
"""The plan of every suite and effort; options of the command replace parts of it."""
