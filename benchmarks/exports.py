"""Export every small lifter, with weights as they are drawn, and tabulate how far the files' answers are off.

``python -m benchmarks.exports`` takes some minutes; ``--lifter PRESET`` picks some.
"""

from __future__ import annotations

import argparse
import logging
from time import process_time

from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.encoding import encoding
from poseshift.training.export.formats import MODEL_FORMATS, ExportError
from poseshift.training.export.lifter import CHECKED_POSES, export_lifter
from poseshift.training.lifters.registry import build, preset, presets


def main() -> None:
    """Export one lifter after the other in every format."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lifter", action="append")
    options.add_argument("--encoding", default="screen")
    given = options.parse_args()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    chosen = encoding(given.encoding)
    print(f"largest difference over {CHECKED_POSES:,} drawn poses, and seconds of processor time")
    print(f"| lifter | {' | '.join(f'{name}, mm | s' for name in MODEL_FORMATS)} |", flush=True)
    for name in given.lifter or [one for one in presets() if one.endswith("-small")]:
        config = preset(name)
        trained = TrainedLifter(build(config, chosen.channels).eval(), chosen, config, {})
        cells = []
        for kind in MODEL_FORMATS.values():
            started = process_time()
            try:
                told = f"{1000 * export_lifter(trained, kind).difference_m:.4f}"
            except ExportError as error:
                told = str(error)
            cells.append(f"{told} | {process_time() - started:.1f}")
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
