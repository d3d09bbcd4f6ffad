"""What the commands read: a small trace, drawn images, weights trained for six steps."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from small_traces import write_small_trace

from hwsim.network import resnet18
from tools.faults.subjects import ROOT, training

IMAGES = {"train": 32, "test": 8}


def make_traces(folder: Path) -> None:
    write_small_trace(folder / "small-scdg.h5", resnet18(input_size=8), "scdg", 8)


def make_weights(folder: Path) -> str | None:
    """Images and weights; or why there are none."""
    if missing := [name for name in ("torch", "PIL") if not find_spec(name)]:
        return f"no {missing[0]}"
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from drawn_images import drawn_image

    generator = np.random.default_rng(0)
    images = folder / "images"
    images.mkdir()
    for split, count in IMAGES.items():
        labels = [number % 10 for number in range(count)]
        cells = [{"bytes": drawn_image(label, generator), "path": None} for label in labels]
        table = pa.table({"img": cells, "label": pa.array(labels, pa.int64())})
        pq.write_table(table, images / f"{split}-00000-of-00001.parquet")
    out = folder / "trained"
    command = [sys.executable, "-m", "hwsim", "train", *training(folder), "--out", str(out)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"training fails in peace: {done.stderr}")
    (weights,) = out.glob("*.npz")
    weights.rename(folder / "weights.npz")
    return None
