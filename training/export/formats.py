"""Files of an exported lifter: ONNX, and ``torch.export``'s own ``.pt2``.

Each format writes a program and runs what it has written, so that a file can be checked before anybody
relies on it. ONNX needs the libraries onnx, onnxscript and onnxruntime, which are optional ones:
``pip install poseshift[onnx]``.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor
from torch.export import ExportedProgram

from poseshift.training.export.program import OUTPUT, Seen

FormatName = Literal["onnx", "pt2"]

_ONNX_LIBRARIES = ("onnx", "onnxscript", "onnxruntime")


class ExportError(RuntimeError):
    """A lifter that cannot be written, or whose exported program does not answer as it does."""


@dataclass(frozen=True)
class ModelFormat:
    """One kind of file.

    Attributes
    ----------
    name : FormatName
        As commands call it.
    suffix : str
        Of its files, with the dot.
    encode : callable
        Gives the content of a program's file.
    run : callable
        Runs a file's content on an input.
    require : callable
        Raises ModuleNotFoundError, with what to install, where a library that it needs is missing.
    """

    name: FormatName
    suffix: str
    encode: Callable[[ExportedProgram], bytes]
    run: Callable[[bytes, Seen], Tensor]
    require: Callable[[], None]


def _encode_pt2(program: ExportedProgram) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def _run_pt2(content: bytes, seen: Seen) -> Tensor:
    program = torch.export.load(io.BytesIO(content)).module()
    with torch.no_grad():
        answer: Tensor = program(*seen)
    return answer


def _require_nothing() -> None:
    """PyTorch is all that it needs."""


def _require_onnx() -> None:
    missing = [name for name in _ONNX_LIBRARIES if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"ONNX files need {', '.join(_ONNX_LIBRARIES)}; not installed: {', '.join(missing)}. "
            "Say pip install 'poseshift[onnx]', or --format pt2"
        )


def _encode_onnx(program: ExportedProgram) -> bytes:
    # The exporter tells of operators of torchvision, which no lifter has, and warns of its own old calls.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            found = torch.onnx.export(
                program,
                dynamo=True,
                input_names=Seen._fields,
                output_names=(OUTPUT,),
                custom_translation_table={torch.ops.aten.sort.stable: _sorted_in_onnx},
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            why = str(error).partition(".")[0] or type(error).__name__  # pages of advice follow
            raise ExportError(
                f"PyTorch's exporter cannot write this lifter as ONNX ({why}); nothing written. "
                "Say --format pt2"
            ) from error
    if found is None:  # what it gives where it writes a file itself
        raise RuntimeError("torch.onnx.export gave no program")
    model = found.model_proto
    symbol = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if symbol in dimension.dim_param:  # s38, or 17*s38
                dimension.dim_param = dimension.dim_param.replace(symbol, "batch")
    content: bytes = model.SerializeToString()
    return content


def _sorted_in_onnx(values: Any, stable: bool | None = None, dim: int = -1, descending: bool = False) -> Any:
    """Translate ``aten.sort.stable``, which PyTorch's exporter does not know; ONNX sorts by TopK."""
    from onnxscript import opset18  # optional

    op: Any = opset18  # its types know tensors of one kind each
    del stable  # TopK takes the lower index first
    whole = op.Gather(op.Shape(values), op.Constant(value_ints=[dim]))
    return op.TopK(values, whole, axis=dim, largest=descending, sorted=True)


def _run_onnx(content: bytes, seen: Seen) -> Tensor:
    import onnxruntime  # optional, and large

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    given = {name: one.cpu().numpy() for name, one in seen._asdict().items()}
    return torch.from_numpy(session.run([OUTPUT], given)[0])


MODEL_FORMATS: Mapping[str, ModelFormat] = MappingProxyType(
    {
        "onnx": ModelFormat("onnx", ".onnx", _encode_onnx, _run_onnx, _require_onnx),
        "pt2": ModelFormat("pt2", ".pt2", _encode_pt2, _run_pt2, _require_nothing),
    }
)
"""Every format by name."""
