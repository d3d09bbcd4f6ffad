"""Trace files as releases before format version 4 wrote them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import h5py
import numpy as np

from hwsim.trace.mask_trace import MaskTrace


def write_old(path: Path, trace: MaskTrace, version: int) -> None:
    """Masks, counts and margins; one hash over header and data, layer by layer."""
    contents = trace.contents
    about = json.loads(trace.header.as_json()) | {"format_version": version}
    if version == 1:
        del about["granularity"], about["squeeze"]
    text = json.dumps(about, separators=(",", ":"))
    digest = hashlib.sha256(text.encode())
    with h5py.File(path, "w") as file:
        for layer in trace.network.gated_layers:
            name = layer.name
            for kind in ("masks", "zero_operand_macs", "zero_operand_macs_conditional", "salience"):
                if name not in getattr(contents, kind):
                    continue
                data = np.asarray(getattr(contents, kind)[name][:])
                if kind == "salience":
                    digest.update(np.float64(contents.salience_scale[name]).tobytes())
                digest.update(data.tobytes())
                chunks = (1, *data.shape[1:]) if kind == "salience" else data.shape
                gzip = {"compression": "gzip"} if kind == "salience" else {}
                stored = file.create_dataset(
                    f"{kind}/{name}", data=data, chunks=chunks, fletcher32=True, **gzip
                )
                if kind == "salience":
                    stored.attrs["scale"] = contents.salience_scale[name]
        file.attrs["header"] = text
        file.attrs["header_sha256"] = hashlib.sha256(text.encode()).hexdigest()
        file.attrs["sha256"] = digest.hexdigest()
