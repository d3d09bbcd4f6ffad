"""hwsim: cycle-exact replay of dynamic convolution masks on a sparse accelerator.

>>> import hwsim
>>> arch = hwsim.load_arch("pe16x16")
>>> trace = hwsim.MaskTrace.open("traces/resnet18-cifar10-scdg.h5")  # doctest: +SKIP
>>> hwsim.simulate(arch, trace, scheme="structured-8x").to_frame()  # doctest: +SKIP

Names are imported when they are first used: ``import hwsim`` loads neither Numba nor pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.arch import ArchConfig, load_arch
    from hwsim.comparison import Comparison, compare, density_sweep, two_by_two
    from hwsim.results import SimResult, layers_frame, summary
    from hwsim.results_folder import ResultsFolder
    from hwsim.search import run_search
    from hwsim.simulate import simulate
    from hwsim.sweep import run_sweep
    from hwsim.synthetic import synthetic_channels, synthetic_trace
    from hwsim.trace import MaskTrace, TraceHeader, open_traces, verify, write_trace
    from hwsim.workload import ConvLayer, Network, resnet18

_HOMES = {
    "ArchConfig": "arch",
    "Comparison": "comparison",
    "ConvLayer": "workload",
    "MaskTrace": "trace",
    "Network": "workload",
    "ResultsFolder": "results_folder",
    "SimResult": "results",
    "TraceHeader": "trace",
    "compare": "comparison",
    "density_sweep": "comparison",
    "layers_frame": "results",
    "load_arch": "arch",
    "open_traces": "trace",
    "resnet18": "workload",
    "run_search": "search",
    "run_sweep": "sweep",
    "simulate": "simulate",
    "summary": "results",
    "synthetic_channels": "synthetic",
    "synthetic_trace": "synthetic",
    "two_by_two": "comparison",
    "verify": "trace",
    "write_trace": "trace",
}

__all__ = [
    "ArchConfig",
    "Comparison",
    "ConvLayer",
    "MaskTrace",
    "Network",
    "ResultsFolder",
    "SimResult",
    "TraceHeader",
    "compare",
    "density_sweep",
    "layers_frame",
    "load_arch",
    "open_traces",
    "resnet18",
    "run_search",
    "run_sweep",
    "simulate",
    "summary",
    "synthetic_channels",
    "synthetic_trace",
    "two_by_two",
    "verify",
    "write_trace",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hwsim' has no attribute {name!r}")
    return getattr(import_module(f"hwsim.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
