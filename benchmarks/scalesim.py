"""SCALE-Sim v3, from PyPI in a virtual environment of its own, on the dense layers of ResNet-18.

Both run one image on a 16x16 array, output-stationary: SCALE-Sim with what it takes to report
compute cycles (CALC bandwidth, no trace files), hwsim a dense replay with systolic feed and no bank
conflicts. hwsim's compute cycles have to be SCALE-Sim's plus one.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hwsim.arch.load import load_arch
from hwsim.counters import CAUSES
from hwsim.mapping.residency import map_network
from hwsim.mapping.tiles import tile_layer
from hwsim.model.plan import plan_network
from hwsim.network import INPUT, ConvLayer, Network, resnet18
from hwsim.run.simulate import simulate
from hwsim.trace.mask_trace import MaskTrace

from .masks import Settings
from .measure import Figure, alone, keep_to, median_spent, peak_mib
from .schemes import MACHINE

VERSION = "3.0.0"
VENV = Path(__file__).parent / ".cache" / f"scalesim-{VERSION}"
DEFAULT_LAYERS = ("conv1", "layer4.0.shortcut", "layer1.0.conv1")

LIKE_SCALESIM = {"array.feed": "systolic", "activation.bank_conflicts": "none"}
"""What hwsim's machine changes to be SCALE-Sim's."""

_COMPUTE = [CAUSES.index(cause) for cause in CAUSES if cause not in ("output_stall", "dram_stall")]

_CONFIG = """\
[general]
run_name = run
[architecture_presets]
ArrayHeight = {rows}
ArrayWidth = {columns}
IfmapSramSzkB = 512
FilterSramSzkB = 160
OfmapSramSzkB = 64
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Dataflow = os
ReadRequestBuffer = 64
WriteRequestBuffer = 64
[layout]
IfmapCustomLayout = False
FilterCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
"""

_RUN = """\
import time
from scalesim.scale_sim import scalesim
run = scalesim(True, False, "machine.cfg", "layer.csv", "layout.csv")
started = time.process_time()
run.run_scale("out")
print("CPU", time.process_time() - started)
"""


class Run(NamedTuple):
    """Compute cycles of a layer, CPU seconds, peak memory of the process in MiB."""

    cycles: int
    cpu: float
    peak: float


def layer_names() -> tuple[str, ...]:
    """All layers that both run: the classifier is left out."""
    return tuple(layer.name for layer in resnet18().layers if layer.name != "fc")


def scalesim(settings: Settings) -> Iterator[Figure]:
    """Layer by layer, and over the layers run."""
    install()
    total, total_here = 0.0, 0.0
    for name in settings.scalesim_layers:
        layer = resnet18().by_name[name]
        theirs = run_scalesim(layer)
        (cycles, cpu), peak = alone(_dense, layer, settings.repeats)
        if cycles != theirs.cycles + 1:
            raise AssertionError(f"{name}: {cycles} cycles, SCALE-Sim {theirs.cycles}")
        total, total_here = total + theirs.cpu, total_here + cpu
        yield from _figures(name, theirs.cpu, cpu)
        yield Figure("dense", name, 1, 1, "SCALE-Sim peak memory", theirs.peak, "MiB")
        yield Figure("dense", name, 1, 1, "hwsim peak memory", peak, "MiB")
    number = len(settings.scalesim_layers)
    yield from _figures(f"{number} layer{'s' * (number > 1)}", total, total_here)


def _figures(name: str, theirs: float, ours: float) -> Iterator[Figure]:
    for figure, value, unit in (
        ("SCALE-Sim", theirs, "CPU s"),
        ("hwsim", ours, "CPU s"),
        ("SCALE-Sim / hwsim", theirs / ours, "x"),
    ):
        yield Figure("dense", name, 1, 1, figure, value, unit)


def install() -> None:
    """Once; SCALE-Sim does not work with NumPy 2.4."""
    if (VENV / ".installed").exists():
        return
    print(f"installing SCALE-Sim {VERSION} into {VENV}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    pip = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"scalesim=={VERSION}", "numpy<2.4"], check=True)
    (VENV / ".installed").touch()


def run_scalesim(layer: ConvLayer, whole: bool = False) -> Run:
    """One layer; CPU seconds of its run alone, without imports and parsing.

    ``whole``: SCALE-Sim is given the whole padded input, also where strides do not divide it.
    """
    with tempfile.TemporaryDirectory() as folder:
        _write_inputs(Path(folder), layer, whole)
        output = Path(folder, "printed")
        with output.open("w") as printed:
            process = subprocess.Popen(
                [VENV / "bin" / "python", "-c", _RUN], cwd=folder, stdout=printed
            )
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, "SCALE-Sim")
        (line,) = (line for line in output.read_text().splitlines() if line.startswith("CPU "))
        with Path(folder, "out", "run", "COMPUTE_REPORT.csv").open() as file:
            (row,) = csv.DictReader(file, skipinitialspace=True)
    return Run(int(row["Total Cycles"]), float(line.split()[1]), peak_mib(usage.ru_maxrss))


def _write_inputs(folder: Path, layer: ConvLayer, whole: bool) -> None:
    """Machine, topology and an empty layout; SCALE-Sim rounds outputs up, has no padding.

    So the input is given as large as the taps reach, padding included, unless it is to be whole.
    """
    rows, columns = load_arch(MACHINE).array.shapes[0]
    (folder / "machine.cfg").write_text(_CONFIG.format(rows=rows, columns=columns))
    (folder / "layout.csv").touch()
    kernel, outputs = layer.kernel_size, (layer.out_height, layer.out_width)
    height, width = ((number - 1) * layer.stride + kernel for number in outputs)
    if whole:
        height, width = (size + 2 * layer.padding for size in (layer.in_height, layer.in_width))
    fields = [layer.name, height, width, kernel, kernel, layer.in_channels, layer.out_channels]
    line = ", ".join(map(str, [*fields, layer.stride]))
    (folder / "layer.csv").write_text(f"a header, that is skipped,\n{line},\n")


def _dense(layer: ConvLayer, repeats: int) -> tuple[int, float]:
    """Compute cycles and CPU seconds of hwsim's replay, tiling and all, nothing remembered."""
    keep_to(1)
    arch, trace = load_arch(MACHINE, LIKE_SCALESIM), alone_in_a_trace(layer)
    results = []

    def work() -> None:
        plan_network.cache_clear()
        map_network.cache_clear()
        tile_layer.cache_clear()
        results.append(simulate(arch, trace, "dense", batch=1, threads=1))

    cpu = median_spent(work, 10 * repeats).cpu
    return int(results[-1].causes[:, _COMPUTE].sum()), cpu


def compute_cycles(layer: ConvLayer) -> int:
    """Of hwsim's dense replay of one image, on the machine that is like SCALE-Sim's."""
    arch, trace = load_arch(MACHINE, LIKE_SCALESIM), alone_in_a_trace(layer)
    result = simulate(arch, trace, "dense", batch=1, threads=1)
    return int(result.causes[:, _COMPUTE].sum())


def alone_in_a_trace(layer: ConvLayer) -> MaskTrace:
    """The layer as a network, one image without masks."""
    only = layer.model_copy(update={"input": INPUT, "residual": None})
    return MaskTrace.of_network(Network(name=layer.name, layers=(only,)))
