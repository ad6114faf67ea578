"""A device of PyTorch's whose memory is the processor's, to try without a GPU what a GPU is strict about.

Tensors there cannot be mixed with the processor's, as on a GPU, and are computed with as the processor's are.
What goes from one to the other is counted, and so is every operation whose answer the processor waits for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import CPUAccelerator
from lightning_fabric.strategies import SingleDeviceStrategy
from torch.utils import _pytree as pytree
from torch.utils import backend_registration

from poseshift.training import fit
from poseshift.training.schedule import Schedule

NAME = "pretended"

WAITED_FOR = frozenset({"_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "unique_dim"})
"""Operations with an answer that the processor waits for: a value, or a size that depends on values."""

INDEXING = frozenset({"index", "index_put", "index_put_", "_index_put_impl_"})
"""Waited for where the index is a mask."""

MOVES = frozenset({"_copy_from", "_to_copy", "copy_"})
"""Operations that may see tensors of both devices."""

counted: Counter[str] = Counter()
"""Tensors moved ``to`` this device and ``from`` it, and, by name, operations that were ``waited for``."""


class OnDevice(torch.Tensor):
    """A tensor of this device, with the processor's that holds its values."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnDevice:
        """Put a tensor of the processor on the device."""
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(NAME, 0),
        )
        made.held = held
        return made

    def new_tensor(self, data: Any, **options: Any) -> torch.Tensor:
        """Make a tensor of values and move it here."""
        return tensor(data, **{"dtype": self.dtype, "device": self.device, **options})

    def __getitem__(self, index: Any) -> torch.Tensor:
        """Look up; lists are moved here, as a GPU's are."""
        parts = index if isinstance(index, tuple) else (index,)
        return super().__getitem__(tuple(self._index(one) for one in parts))

    def __setitem__(self, index: Any, value: Any) -> None:
        parts = index if isinstance(index, tuple) else (index,)
        super().__setitem__(tuple(self._index(one) for one in parts), value)

    def _index(self, one: Any) -> Any:
        return tensor(one, device=self.device) if isinstance(one, (list, tuple)) else one

    def tolist(self) -> Any:
        """Wait for all values."""
        counted["waited for: tolist"] += 1
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


class Generator(torch.Generator):
    """Draws the processor's numbers for either device."""

    def __new__(cls, device: torch.device | str = "cpu") -> Generator:
        """Make one that says it is of a device."""
        made = super().__new__(cls)
        made.place = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:
        """Where tensors that it fills are to be."""
        return self.place


_TENSOR, _ASARRAY = torch.tensor, torch.asarray


def tensor(data: Any, *, device: torch.device | str = "cpu", **options: Any) -> torch.Tensor:
    """Make a tensor of values and move it: PyTorch cannot do both at once where the device is of Python."""
    return _TENSOR(data, **options).to(device)


def asarray(data: Any, *, device: torch.device | str | None = None, **options: Any) -> torch.Tensor:
    """Likewise."""
    made = _ASARRAY(data, **options)
    return made if device is None else made.to(device)


def _run(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = operation.name().removeprefix("aten::").partition(".")[0]
    flat, form = pytree.tree_flatten((args, kwargs))
    tensors = [one for one in flat if isinstance(one, torch.Tensor)]
    there = {id(one.held): one for one in tensors if isinstance(one, OnDevice)}
    elsewhere = [one for one in tensors if not isinstance(one, OnDevice) and one.ndim > 0]
    if there and elsewhere and name not in MOVES:
        shapes = [tuple(one.shape) for one in elsewhere]
        raise RuntimeError(f"{name}: some tensors are on {NAME}, those of the shapes {shapes} are not")
    wanted = [one.type for one in flat if isinstance(one, torch.device)]
    if name == "_copy_from":
        counted["to" if isinstance(args[1], OnDevice) else "from"] += 1
    elif name == "_to_copy" and there and "cpu" in wanted:
        counted["from"] += 1
    elif name == "copy_" and len({isinstance(one, OnDevice) for one in tensors}) > 1:
        counted["to" if isinstance(args[0], OnDevice) else "from"] += 1
    masked = name in INDEXING and any(one.dtype == torch.bool for one in tensors[1:] if one.ndim)
    if name in WAITED_FOR or masked:
        counted[f"waited for: {name}"] += 1
    args, kwargs = pytree.tree_unflatten([_of_processor(one) for one in flat], form)
    with torch.no_grad():
        result = args[1].copy_(args[0]) if name == "_copy_from" else operation(*args, **kwargs)
    if "cpu" in wanted:
        return result

    def put_back(one: torch.Tensor) -> torch.Tensor:  # operations in place return what they were given
        return there[id(one)] if id(one) in there else OnDevice(one)

    return pytree.tree_map_only(torch.Tensor, put_back, result)


def _of_processor(one: Any) -> Any:
    if isinstance(one, OnDevice):
        return one.held
    return torch.device("cpu") if isinstance(one, torch.device) else one


class _Accelerator(CPUAccelerator):
    """The processor's, which is not told of the device."""

    def setup_device(self, device: torch.device) -> None:
        """Do nothing."""


def _fabric(device: torch.device, schedule: Schedule) -> Fabric:
    if device.type != NAME:
        return _FABRIC(device, schedule)
    fabric = Fabric(strategy=SingleDeviceStrategy(device=device, accelerator=_Accelerator()))
    fabric.launch()
    return fabric


_FABRIC = fit._fabric


def _enter(mode: torch.inference_mode) -> None:
    """Turn gradients off in place of PyTorch's inference mode, in which tensors of Python cannot be made."""
    mode.before = torch.is_grad_enabled()
    if mode.mode:
        torch.set_grad_enabled(False)


def _leave(mode: torch.inference_mode, *_error: object) -> None:
    torch.set_grad_enabled(mode.before)


@contextmanager
def pretended() -> Iterator[torch.device]:
    """Have the device inside this block, in which counting begins at nothing.

    Yields
    ------
    torch.device
        To train, measure and predict on.
    """
    with (
        patch.object(torch, "tensor", tensor),
        patch.object(torch, "asarray", asarray),
        patch.object(torch, "Generator", Generator),
        patch.object(torch.inference_mode, "__enter__", _enter),
        patch.object(torch.inference_mode, "__exit__", _leave),
        patch.object(fit, "_fabric", _fabric),
    ):
        counted.clear()
        yield torch.device(NAME, 0)


backend_registration._setup_privateuseone_for_python_backend(NAME)
_LIBRARY = torch.library.Library("_", "IMPL")
_LIBRARY.fallback(lambda operation, *args, **kwargs: _run(operation, args, kwargs), "PrivateUse1")
