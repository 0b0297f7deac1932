"""Make data/weights/colorizer.npz, the colorizer in the box, of a trained run of vivid.

    python tests/tools/make_box.py results/benchmarks/vivid/runs/vivid --photos "44,000 photos of scenes (MiniPlaces)"

Kernels become 8 bits with a scale for each output channel; the rest stays as it is.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
from make_weights import ROOT, packed, save

sys.path.insert(0, str(ROOT))

from colorlib import models, runs, settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--photos", required=True, help="in words, what it has learned from")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "weights" / "colorizer.npz")
    options = parser.parse_args()
    run = runs.Run(settings.load("paper", results_folder=options.run.parent.parent), options.run.name, "vivid")
    chosen = run.settings
    about = {
        "version": models.WHOLE_VERSION,
        "arguments": runs.architecture("vivid", chosen),
        "photos": options.photos,
        "nodes": "lab.NODES, of 10 ab units; how often each occurs among the training photos: head/counts",
        "trained": {
            field.name: getattr(chosen, field.name)
            for field in dataclasses.fields(chosen)
            if field.name in run._state.identity
        },
    }
    variables = {name: np.asarray(variable) for name, variable in models.all_variables(run.build_model()).items()}
    variables.pop("rung0_dropout/seed_generator_state", None)  # where it had dropout: the box has none
    arrays = packed(variables, 8)
    save(options.out, arrays | {"about": np.array(json.dumps(about))})


if __name__ == "__main__":
    main()
