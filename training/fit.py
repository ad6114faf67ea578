"""Training of a lifter, meant to be read in one sitting.

One loop for a CPU, a GPU and several of them (Lightning Fabric places the model, the precision and the gradients'
sum). A batch is an index into poses that already lie on the device; it goes through the transforms, then the
encoding, the lifter and the loss. Learning rate and rows of a step are functions of the step, so that resuming
needs no more than weights, optimiser and random-number states: an interrupted run ends, bit for bit on a CPU,
with the weights of an undisturbed one.
"""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.tensorboard import SummaryWriter

from geometry.skeleton import skeleton as skeleton_named
from training.batches import Batch, BatchTransform, DevicePoses
from training.checkpoint import load_state, write_atomically
from training.encoding import Encoding
from training.flip import RandomFlip
from training.lifters.lifter import Lifter
from training.losses import Loss, loss
from training.schedule import Schedule

logger = logging.getLogger(__name__)

STATE_FILE = "state.pt"


@dataclass(frozen=True)
class EpochLog:
    """What is known at the end of an epoch.

    Attributes
    ----------
    epoch : counted from 1.
    step : optimiser steps so far.
    loss : mean over the epoch's steps, in the loss's own unit.
    learning_rate : of the last step.
    seconds : that the epoch took.
    samples_per_second : clips learnt from, over all devices.
    """

    epoch: int
    step: int
    loss: float
    learning_rate: float
    seconds: float
    samples_per_second: float


@dataclass(frozen=True)
class FitResult:
    """A finished run: the lifter that was passed in, trained, and the log of all epochs."""

    lifter: Lifter
    history: tuple[EpochLog, ...]


@dataclass
class _Progress:
    """Everything that changes while a run goes on; what a checkpoint holds."""

    lifter: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    generator: torch.Generator
    step: int = 0
    history: list[EpochLog] = field(default_factory=list)


class _RunSettings(BaseModel):
    """What must be equal for a run to be resumed."""

    model_config = ConfigDict(frozen=True)

    schedule: Schedule
    seed: int
    encoding: str
    lifter: str
    rows: int
    snapshot: str
    transforms: int
    devices: int


def fit(
    lifter: Lifter,
    encoding: Encoding,
    source: DevicePoses,
    schedule: Schedule,
    *,
    run_dir: Path,
    seed: int,
    transforms: Sequence[BatchTransform] = (),
    on_epoch: Callable[[EpochLog], None] | None = None,
) -> FitResult:
    """Train a lifter in place; go on from the checkpoint in ``run_dir`` when there is one.

    Parameters
    ----------
    lifter : with its initial weights; trained in place and left in evaluation mode. With ``ema_decay`` it ends
        with the averaged weights.
    encoding : what the lifter sees; its random part, if any, is active.
    source : poses on the training device, cut to the lifter's clip length.
    schedule : steps, rates, loss.
    run_dir : for the checkpoint and TensorBoard's files.
    seed : of the order of the rows, the transforms and dropout.
    transforms : applied to each batch in this order, after the random mirroring that the schedule asks for.
    on_epoch : called after each epoch, after its checkpoint. It may use the lifter; what it raises ends the run.

    Returns
    -------
    FitResult

    Raises
    ------
    ValueError
        When lifter, encoding and poses do not fit together, or the checkpoint is of another run.

    Notes
    -----
    Started by ``torchrun``, the same call trains on all its processes: each takes its share of every batch.
    """
    _check_match(lifter, encoding, source)
    fabric = _fabric(source.device, schedule)
    source = source.to(fabric.device)
    settings = _RunSettings(
        schedule=schedule,
        seed=seed,
        encoding=repr(encoding),
        lifter=str({name: tuple(value.shape) for name, value in lifter.state_dict().items()}),
        rows=len(source),
        snapshot=source.snapshot,
        transforms=len(transforms),
        devices=fabric.world_size,
    )
    run_dir.mkdir(parents=True, exist_ok=True)

    lifter.to(fabric.device)
    optimizer = torch.optim.AdamW(
        _parameter_groups(lifter, schedule.weight_decay), lr=schedule.learning_rate, fused=True
    )
    average = _average(lifter, schedule)
    generator = torch.Generator(source.device).manual_seed(_derive(seed, 1, fabric.global_rank))
    progress = _Progress(lifter, optimizer, average, generator)
    model, wrapped_optimizer = fabric.setup(lifter, optimizer)

    cuda = [fabric.device] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), _writer(fabric, run_dir) as log_writer:
        torch.manual_seed(_derive(seed, 2, fabric.global_rank))  # dropout has no generator of its own
        if (run_dir / STATE_FILE).exists():
            _restore(fabric, run_dir / STATE_FILE, settings, progress)
            logger.info("resuming %s at step %d", run_dir, progress.step)

        flip = RandomFlip(skeleton_named(lifter.skeleton), schedule.flip_probability)
        stages = (flip, *transforms) if schedule.flip_probability > 0 else tuple(transforms)
        rows = RowOrder(len(source), schedule.batch_size, _derive(seed, 0), source.device)
        epoch_steps = schedule.epoch_length(len(source))
        total_steps = schedule.epochs * epoch_steps
        loss_of = loss(schedule.loss)

        while progress.step < total_steps:
            started = time.perf_counter()
            model.train()
            loss_sum = torch.zeros((), device=source.device)
            for _ in range(epoch_steps):
                rate = schedule.learning_rate * schedule.rate_factor(progress.step, total_steps)
                for group in wrapped_optimizer.param_groups:
                    group["lr"] = rate
                share = rows(progress.step)[fabric.global_rank :: fabric.world_size]
                batch = source.batch(share)
                for transform in stages:
                    batch = transform(batch, generator)
                value = _batch_loss(model, lifter, encoding, batch, loss_of, generator)
                wrapped_optimizer.zero_grad()
                fabric.backward(value)
                if schedule.clip_norm is not None:
                    fabric.clip_gradients(
                        model, wrapped_optimizer, max_norm=schedule.clip_norm, error_if_nonfinite=False
                    )
                wrapped_optimizer.step()
                if average is not None:
                    average.update_parameters(lifter)
                loss_sum += value.detach()  # no .item() here: it would wait for the device at every step
                progress.step += 1

            mean_loss = float(fabric.all_reduce(loss_sum / epoch_steps, reduce_op="mean"))
            seconds = time.perf_counter() - started
            entry = EpochLog(
                epoch=progress.step // epoch_steps,
                step=progress.step,
                loss=mean_loss,
                learning_rate=rate,
                seconds=seconds,
                samples_per_second=epoch_steps * rows.batch_size / seconds,
            )
            progress.history.append(entry)
            if not np.isfinite(mean_loss):
                raise FloatingPointError(
                    f"the loss is {mean_loss} after {progress.step} steps; lower learning_rate "
                    f"({schedule.learning_rate}) or clip_norm, and look for missing keypoints (NaN)"
                )
            _log(log_writer, entry)
            if entry.epoch % schedule.checkpoint_every == 0 or progress.step == total_steps:
                _save(fabric, run_dir / STATE_FILE, settings, progress)
            if on_epoch is not None:
                on_epoch(entry)

    if average is not None:
        lifter.load_state_dict(average.module.state_dict())
    lifter.eval()
    return FitResult(lifter, tuple(progress.history))


class RowOrder:
    """Which rows a step learns from: a function of the step, drawn anew for each pass over the data.

    Parameters
    ----------
    rows : size of the data set. The last rows of a pass that do not fill a batch wait for another pass.
    batch_size : rows of a step; all of them when there are fewer.
    seed : of the permutations.
    device : of the indices returned.
    """

    def __init__(self, rows: int, batch_size: int, seed: int, device: torch.device | str = "cpu") -> None:
        self.rows = rows
        self.batch_size = min(batch_size, rows)
        self.seed = seed
        self.device = device
        self._pass = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def __call__(self, step: int) -> Tensor:
        """Rows of a step, (batch,) int64."""
        of_pass, place = divmod(step, self.rows // self.batch_size)
        if of_pass != self._pass:
            generator = torch.Generator().manual_seed(_derive(self.seed, of_pass))
            self._order = torch.randperm(self.rows, generator=generator).to(self.device)
            self._pass = of_pass
        return self._order[place * self.batch_size : (place + 1) * self.batch_size]


def _batch_loss(
    model: nn.Module,
    lifter: Lifter,
    encoding: Encoding,
    batch: Batch,
    loss_of: Loss,
    generator: torch.Generator,
) -> Tensor:
    encoded = encoding.encode(batch.keypoints_px, batch.intrinsics, generator)
    target = encoding.to_target_frame(batch.root_relative(skeleton_named(lifter.skeleton)), encoded)
    if lifter.output == "centre":
        middle = lifter.frames // 2
        target = target[:, middle : middle + 1]
    return loss_of(model(encoded.inputs), target)


def _check_match(lifter: Lifter, encoding: Encoding, source: DevicePoses) -> None:
    pairs = (
        ("clip length", lifter.frames, source.frames),
        ("skeleton", lifter.skeleton, source.skeleton),
        ("channels", lifter.channels, encoding.channels),
    )
    for what, wanted, found in pairs:
        if wanted != found:
            raise ValueError(f"the lifter's {what} is {wanted} but the data or its encoding give {found}")


def _fabric(device: torch.device, schedule: Schedule) -> Fabric:
    processes = int(os.environ.get("WORLD_SIZE", "1"))  # set by torchrun
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    precision = schedule.precision
    if precision == "auto":
        precision = "bf16-mixed" if device.type == "cuda" else "32-true"
    one_gpu = processes == 1 and device.type == "cuda"
    fabric = Fabric(
        accelerator=device.type,
        devices=[device.index or 0] if one_gpu else here,
        num_nodes=processes // here,
        precision=precision,
    )
    fabric.launch()
    return fabric


def _parameter_groups(lifter: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases and normalisation do not."""
    matrices = [parameter for parameter in lifter.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in lifter.parameters() if parameter.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def _average(lifter: Lifter, schedule: Schedule) -> AveragedModel | None:
    if schedule.ema_decay is None:
        return None
    return AveragedModel(lifter, multi_avg_fn=get_ema_multi_avg_fn(schedule.ema_decay))


def _derive(*numbers: int) -> int:
    """One seed from several numbers, well mixed."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _save(fabric: Fabric, path: Path, settings: _RunSettings, progress: _Progress) -> None:
    cuda = fabric.device.type == "cuda"
    state = {
        "settings": settings.model_dump_json(),
        "step": progress.step,
        "history": [asdict(entry) for entry in progress.history],
        "lifter": progress.lifter.state_dict(),
        "optimizer": progress.optimizer.state_dict(),
        "average": None if progress.average is None else progress.average.state_dict(),
        # one row per process
        "transform_rng": _gather(fabric, progress.generator.get_state()),
        "torch_rng": _gather(fabric, torch.get_rng_state()),
        "cuda_rng": _gather(fabric, torch.cuda.get_rng_state(fabric.device)) if cuda else None,
    }
    if fabric.is_global_zero:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(path, buffer.getvalue())
    fabric.barrier()


def _gather(fabric: Fabric, state: Tensor) -> Tensor:
    gathered = fabric.all_gather(state)
    assert isinstance(gathered, Tensor)  # noqa: S101 - a fact for the type checker
    return gathered.reshape(fabric.world_size, -1).cpu()


def _restore(fabric: Fabric, path: Path, settings: _RunSettings, progress: _Progress) -> None:
    state = load_state(path)
    if state["settings"] != settings.model_dump_json():
        found = _RunSettings.model_validate_json(state["settings"])
        different = [
            name for name in _RunSettings.model_fields if getattr(found, name) != getattr(settings, name)
        ]
        raise ValueError(
            f"{path} is the state of another run (different {', '.join(different)}); give this run another "
            "folder, or delete that file to train from the start"
        )
    progress.step = state["step"]
    progress.history = [EpochLog(**entry) for entry in state["history"]]
    progress.lifter.load_state_dict(state["lifter"])
    progress.optimizer.load_state_dict(state["optimizer"])
    if progress.average is not None:
        progress.average.load_state_dict(state["average"])
    rank = fabric.global_rank
    progress.generator.set_state(state["transform_rng"][rank])
    torch.set_rng_state(state["torch_rng"][rank])
    if fabric.device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda_rng"][rank], fabric.device)


def _writer(fabric: Fabric, run_dir: Path) -> SummaryWriter:
    # Other processes than the first write where nothing is kept apart from theirs.
    name = "tensorboard" if fabric.is_global_zero else f"tensorboard-{fabric.global_rank}"
    return SummaryWriter(str(run_dir / name))


def _log(writer: SummaryWriter, entry: EpochLog) -> None:
    values: Iterable[tuple[str, float]] = (
        ("loss/train", entry.loss),
        ("learning_rate", entry.learning_rate),
        ("samples_per_second", entry.samples_per_second),
    )
    for name, value in values:
        writer.add_scalar(name, value, entry.step)
    logger.info(
        "epoch %d, step %d: loss %.5f, %.0f samples/s",
        entry.epoch,
        entry.step,
        entry.loss,
        entry.samples_per_second,
    )
