"""Training of a lifter, meant to be read in one sitting.

One loop for a CPU, a GPU and several of them (Lightning Fabric places the model, sets the precision and
sums the gradients). A batch is an index into poses that already lie on the device; it goes through the
transforms, then the encoding, the lifter and the loss. An interrupted run, started again, goes on from its
last checkpoint and ends, bit for bit on a CPU, with the weights of an undisturbed one
(:mod:`poseshift.training.run_state`).
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from poseshift.training.answer import AS_IT_IS, Rays
from poseshift.training.batches import BatchTransform, DevicePoses
from poseshift.training.compiled import compiled_answers
from poseshift.training.encoding import Encoding
from poseshift.training.flip import draw_mirrored
from poseshift.training.lifters.lifter import Answered, Lifter, ScaledLifter
from poseshift.training.losses import ScaledLoss, loss
from poseshift.training.repeatability import repeatable
from poseshift.training.run_state import (
    STATE_FILE,
    EpochLog,
    Progress,
    RunSettings,
    derive_seed,
    restore_progress,
    save_progress,
)
from poseshift.training.schedule import Schedule
from poseshift.training.step_loss import Answering, batch_loss, mixed_loss
from poseshift.training.transforms import LossBeside, PartOfRun, PlacesAnew, StatefulTransform, TrainingRun

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["EpochLog", "FitResult", "RowOrder", "Schedule", "fit"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitResult:
    """A finished run: the lifter that was passed in, trained, and the log of all epochs."""

    lifter: Lifter
    history: tuple[EpochLog, ...]


def fit(
    lifter: Lifter,
    encoding: Encoding,
    source: DevicePoses,
    schedule: Schedule,
    *,
    run_dir: Path,
    seed: int,
    transforms: Sequence[BatchTransform] = (),
    rays: Rays = AS_IT_IS,
    beside: LossBeside | None = None,
    on_epoch: Callable[[EpochLog], None] | None = None,
) -> FitResult:
    """Train a lifter in place; go on from the checkpoint in ``run_dir`` when there is one.

    Parameters
    ----------
    lifter : Lifter
        With its initial weights; trained in place and left in evaluation mode. With ``ema_decay`` it ends
        with the averaged weights.
    encoding : Encoding
        What the lifter sees; its random part, if any, is active.
    source : DevicePoses
        Poses on the training device, cut to the lifter's clip length.
    schedule : Schedule
        Steps, rates, loss.
    run_dir : Path
        For the checkpoint and TensorBoard's files.
    seed : int
        Of the order of the rows, the transforms and dropout.
    transforms : Sequence[BatchTransform]
        Applied to each batch in this order, after the mirroring that the schedule asks for. Those with a
        state (:class:`poseshift.training.transforms.StatefulTransform`) are saved and restored with the run.
    rays : Rays
        With ``in_loss``, half of the loss is that of the pose on the rays of its keypoints.
    beside : LossBeside or None
        Adds to the loss of each labelled batch; saved and restored with the run. The log holds the labelled
        batches' loss alone.
    on_epoch : callable or None
        Called after each epoch and its checkpoint. It may use the lifter; what it raises ends the run.

    Returns
    -------
    FitResult

    Raises
    ------
    ValueError
        When lifter, encoding and poses do not fit together, the checkpoint is of another run, or a part
        with a state is to run in several processes.
    FloatingPointError
        When the loss is not finite.

    Notes
    -----
    Started by ``torchrun``, the same call trains on all its processes: each takes its share of every batch.
    """
    _check_match(lifter, encoding, source)
    loss_of = loss(schedule.loss, lifter.skeleton)
    if isinstance(loss_of, ScaledLoss) and not isinstance(lifter, ScaledLifter):
        raise ValueError(
            f"loss {schedule.loss} is also of how far each joint may be off, which {type(lifter).__name__} "
            "does not tell; take gumlp, or add +scale to the lifter's preset"
        )
    fabric = _fabric(source.device, schedule)
    source = source.to(fabric.device)
    if encoding.sees_rays and not any(isinstance(one, PlacesAnew) for one in transforms):
        source = source.with_rays()
    lifter.to(fabric.device)
    optimizer = _optimizer(lifter, schedule)
    generator = torch.Generator(source.device).manual_seed(derive_seed(seed, 1, fabric.global_rank))
    stateful = _stateful(transforms, beside, fabric.world_size)
    progress = Progress(lifter, optimizer, _average(lifter, schedule), generator, stateful)
    settings = RunSettings(
        schedule=schedule,
        seed=seed,
        encoding=repr(encoding),
        weights={name: tuple(weight.shape) for name, weight in lifter.state_dict().items()},
        rows=len(source),
        snapshot=source.snapshot,
        transforms=len(transforms),
        processes=fabric.world_size,
        rays=rays,
        losses=0 if beside is None else 1,
    )
    answering = compiled_answers(lifter) if schedule.compiled else lifter.answered
    network, optimizer = fabric.setup(_Network(lifter, answering), optimizer)

    rows = RowOrder(len(source), schedule.batch_size, derive_seed(seed, 0), source.device)
    epoch_steps = schedule.epoch_length(len(source))
    total_steps = schedule.epochs * epoch_steps
    for part in stateful:
        part.attach(TrainingRun(lifter, encoding, total_steps, source.hz))

    cuda = [fabric.device] if fabric.device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=cuda),
        repeatable(schedule.repeatability),
        contextlib.ExitStack() as closing,
    ):
        torch.manual_seed(derive_seed(seed, 2, fabric.global_rank))  # dropout has no generator of its own
        run_dir.mkdir(parents=True, exist_ok=True)
        state_path = run_dir / STATE_FILE
        if state_path.exists():
            restore_progress(fabric, state_path, settings, progress)
            logger.info("resuming %s at step %d of %d", run_dir, progress.step, total_steps)
        log_to = _loggers(fabric, run_dir, progress.step, closing)

        while progress.step < total_steps:
            started = time.perf_counter()
            lifter.train()
            loss_sum = torch.zeros((), device=source.device)
            whole_sum = torch.zeros((), device=source.device)
            for _ in range(epoch_steps):
                rate = schedule.learning_rate * schedule.rate_factor(progress.step, total_steps)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                chosen = rows(progress.step)[fabric.global_rank :: fabric.world_size]
                mirrored = draw_mirrored(len(chosen), schedule.flip_probability, generator)
                batch = source.batch(chosen, mirrored)
                for transform in transforms:
                    batch = transform(batch, generator)
                shown = None if beside is None else beside.draw(generator)
                if beside is None or shown is None:
                    whole = value = batch_loss(
                        lifter, encoding, batch, loss_of, generator, rays, answering=network
                    )
                else:
                    value, answers = mixed_loss(
                        lifter, encoding, batch, shown, loss_of, generator, rays, answering=network
                    )
                    whole = beside.whole(value, answers)
                optimizer.zero_grad()
                fabric.backward(whole)
                if schedule.clip_norm is not None:
                    nn.utils.clip_grad_norm_(lifter.parameters(), schedule.clip_norm)
                optimizer.step()
                if progress.average is not None:
                    progress.average.update_parameters(lifter)
                loss_sum += value.detach()  # no .item() here: it would wait for the device at every step
                if beside is not None:
                    whole_sum += whole.detach()
                progress.step += 1

            mean_loss = _mean_over_processes(fabric, loss_sum / epoch_steps)
            seconds = time.perf_counter() - started
            mean_whole = (
                mean_loss if beside is None else _mean_over_processes(fabric, whole_sum / epoch_steps)
            )
            if not math.isfinite(mean_whole):
                raise FloatingPointError(
                    f"the loss is {mean_whole} after {progress.step} steps; lower learning_rate "
                    f"({schedule.learning_rate}) or clip_norm, and look for missing keypoints (NaN)"
                )
            entry = EpochLog(
                epoch=progress.step // epoch_steps,
                step=progress.step,
                loss=mean_loss,
                learning_rate=rate,
                seconds=seconds,
                samples_per_second=epoch_steps * rows.batch_size / seconds,
            )
            progress.history.append(entry)
            for log in log_to:
                log(entry)
            if entry.epoch % schedule.checkpoint_every == 0 or progress.step == total_steps:
                save_progress(fabric, state_path, settings, progress)
            if on_epoch is not None:
                on_epoch(entry)

    if progress.average is not None:
        lifter.load_state_dict(progress.average.module.state_dict())
    lifter.eval()
    return FitResult(lifter, tuple(progress.history))


class RowOrder:
    """Which rows a step learns from: a function of the step, drawn anew for each pass over the data.

    Parameters
    ----------
    rows : int
        Size of the data set. The last rows of a pass that do not fill a batch wait for another pass.
    batch_size : int
        Rows of a step; all of them when there are fewer.
    seed : int
        Of the permutations.
    device : torch.device or str
        Of the indices returned.
    """

    def __init__(self, rows: int, batch_size: int, seed: int, device: torch.device | str = "cpu") -> None:
        self.rows = rows
        self.batch_size = min(batch_size, rows)
        self.seed = seed
        self.device = device
        self._pass = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def __call__(self, step: int) -> Tensor:
        """Return the rows of a step, (batch,) int64."""
        number, place = divmod(step, self.rows // self.batch_size)
        if number != self._pass:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, number))
            self._order = torch.randperm(self.rows, generator=generator).to(self.device)
            self._pass = number
        return self._order[place * self.batch_size : (place + 1) * self.batch_size]


class _Network(nn.Module):
    """A lifter as Fabric wants it: precision, and gradients of several processes, hang on ``forward``."""

    def __init__(self, lifter: Lifter, answering: Answering) -> None:
        super().__init__()
        self.lifter = lifter
        self._answering = answering

    def forward(self, keypoints: Tensor) -> tuple[Answered, ...]:
        return self._answering(keypoints)


def _check_match(lifter: Lifter, encoding: Encoding, source: DevicePoses) -> None:
    pairs = (
        ("clip length", lifter.frames, source.frames),
        ("skeleton", lifter.skeleton, source.skeleton),
        ("number of channels", lifter.channels, encoding.channels),
    )
    for what, wanted, found in pairs:
        if wanted != found:
            raise ValueError(f"the lifter's {what} is {wanted} but the data or their encoding give {found}")


def _stateful(
    transforms: Sequence[BatchTransform], beside: LossBeside | None, processes: int
) -> tuple[PartOfRun, ...]:
    found: list[PartOfRun] = [one for one in transforms if isinstance(one, StatefulTransform)]
    if beside is not None:
        found.append(beside)
    if found and processes > 1:
        names = ", ".join(type(one).__name__ for one in found)
        raise ValueError(
            f"{names} learns from the batches of one process, but this run has {processes}; start it with one"
        )
    return tuple(found)


def _fabric(device: torch.device, schedule: Schedule) -> Fabric:
    processes = int(os.environ.get("WORLD_SIZE", "1"))  # set by torchrun, as is the next
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    precision = schedule.precision
    if precision == "auto":
        precision = "bf16-mixed" if device.type == "cuda" else "32-true"
    from lightning_fabric import Fabric  # slow to import, needed in training only

    fabric = Fabric(
        accelerator=device.type,
        devices=[device.index or 0] if processes == 1 and device.type == "cuda" else here,
        num_nodes=processes // here,
        precision=precision,
    )
    fabric.launch()
    return fabric


def _optimizer(lifter: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    groups = _parameter_groups(lifter, schedule)
    if schedule.optimizer == "adam":
        return torch.optim.Adam(groups, lr=schedule.learning_rate, fused=True)
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, fused=True)


def _parameter_groups(lifter: nn.Module, schedule: Schedule) -> list[dict[str, Any]]:
    """Matrices decay; biases and normalisation do not."""
    matrices = [parameter for parameter in lifter.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in lifter.parameters() if parameter.ndim < 2]
    return [
        {"params": matrices, "weight_decay": schedule.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


def _average(lifter: Lifter, schedule: Schedule) -> AveragedModel | None:
    if schedule.ema_decay is None:
        return None
    average_of = get_ema_multi_avg_fn(schedule.ema_decay)  # type: ignore[no-untyped-call]
    return AveragedModel(lifter, multi_avg_fn=average_of)


def _mean_over_processes(fabric: Fabric, value: Tensor) -> float:
    mean: Tensor = fabric.all_reduce(value, reduce_op="mean")  # type: ignore[assignment]
    return float(mean)


def _loggers(
    fabric: Fabric, run_dir: Path, step: int, closing: contextlib.ExitStack
) -> tuple[Callable[[EpochLog], None], ...]:
    """Where epochs are logged: nowhere but in the first process."""
    if not fabric.is_global_zero:
        return ()
    from torch.utils.tensorboard import SummaryWriter  # slow to import, needed in training only

    # What an interrupted run wrote after its last checkpoint is written again.
    writer = closing.enter_context(SummaryWriter(str(run_dir / "tensorboard"), purge_step=step + 1))

    def to_tensorboard(entry: EpochLog) -> None:
        writer.add_scalar("loss/train", entry.loss, entry.step)
        writer.add_scalar("learning_rate", entry.learning_rate, entry.step)
        writer.add_scalar("samples_per_second", entry.samples_per_second, entry.step)

    def to_log(entry: EpochLog) -> None:
        rate = entry.samples_per_second
        logger.info("epoch %d, step %d: loss %.5f, %.0f/s", entry.epoch, entry.step, entry.loss, rate)

    return (to_tensorboard, to_log)
