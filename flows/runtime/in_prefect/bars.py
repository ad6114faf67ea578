"""Progress bars in Prefect's UI for the steps of an experiment."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import SettingsContext, get_settings_context

from poseshift.flows.experiment.progress import Step

logger = logging.getLogger(__name__)

SHOWN_STEPS = 20
"""A bar in Prefect's UI moves at most so many times, since every move is a request to its server."""


@dataclass(frozen=True)
class _Bar:
    artifact: UUID
    shown: int


class PrefectBars:
    """A listener that shows the steps of one flow run as progress artifacts."""

    def __init__(self) -> None:
        self._bars: dict[str, _Bar] = {}

    def __call__(self, step: Step) -> None:
        """Create or move the bar of a step; steps without parts have none."""
        if step.total <= 1:
            return
        try:
            # A server that is away holds up nothing: the bar moves again when it is back.
            with _without_retries():
                self._move(step)
        except httpx.HTTPError as error:
            logger.info("Prefect was not told how far %s is: %s", step.name, error)

    def _move(self, step: Step) -> None:
        place = SHOWN_STEPS * step.done // step.total
        per_cent = 100.0 * step.done / step.total
        bar = self._bars.get(step.name)
        if bar is None:
            created = create_progress_artifact(progress=per_cent, description=step.name)
            self._bars[step.name] = _Bar(created, place)  # type: ignore[arg-type]  # a coroutine only under asyncio
        elif place > bar.shown:
            update_progress_artifact(bar.artifact, progress=per_cent)
            self._bars[step.name] = _Bar(bar.artifact, place)


def _without_retries() -> SettingsContext:
    """Set retries aside for a block; ``temporary_settings`` reads all sources of settings again, in 50 ms."""
    within = get_settings_context()
    client = within.settings.client.model_copy(update={"max_retries": 0})
    settings = within.settings.model_copy(update={"client": client})
    return SettingsContext(profile=within.profile, settings=settings)
