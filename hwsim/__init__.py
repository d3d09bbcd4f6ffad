"""hwsim: cycle-exact replay of dynamic convolution masks on a sparse accelerator.

>>> import hwsim
>>> trace = hwsim.MaskTrace.open("traces/resnet18-cifar10-scdg.h5")  # doctest: +SKIP
>>> hwsim.simulate("pe16x16", trace, scheme="structured-8x").to_frame()  # doctest: +SKIP

Names are imported when they are first used: ``import hwsim`` loads neither Numba nor pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # What __getattr__ finds, for type checkers and editors.
    from hwsim.arch.config import ArchConfig
    from hwsim.arch.load import load_arch
    from hwsim.network import ConvLayer, MapLayer, Network, load_network, resnet18, save_network
    from hwsim.run.comparison import Comparison, compare, density_sweep, two_by_two
    from hwsim.run.results import SimResult, layers_frame
    from hwsim.run.simulate import simulate
    from hwsim.run.summary import summary
    from hwsim.sweep.folder import ResultsFolder
    from hwsim.sweep.search import run_search
    from hwsim.sweep.sweep import run_sweep
    from hwsim.trace.files import open_traces, verify, write_trace
    from hwsim.trace.format.header import TraceHeader
    from hwsim.trace.mask_trace import MaskTrace
    from hwsim.trace.synthetic import synthetic_channels, synthetic_trace

_HOMES = {
    "ArchConfig": "arch.config",
    "Comparison": "run.comparison",
    "ConvLayer": "network",
    "MapLayer": "network",
    "MaskTrace": "trace.mask_trace",
    "Network": "network",
    "ResultsFolder": "sweep.folder",
    "SimResult": "run.results",
    "TraceHeader": "trace.format.header",
    "compare": "run.comparison",
    "density_sweep": "run.comparison",
    "layers_frame": "run.results",
    "load_arch": "arch.load",
    "load_network": "network",
    "open_traces": "trace.files",
    "resnet18": "network",
    "run_search": "sweep.search",
    "run_sweep": "sweep.sweep",
    "save_network": "network",
    "simulate": "run.simulate",
    "summary": "run.summary",
    "synthetic_channels": "trace.synthetic",
    "synthetic_trace": "trace.synthetic",
    "two_by_two": "run.comparison",
    "verify": "trace.files",
    "write_trace": "trace.files",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        return metadata.version("hwsim")
    if name not in _HOMES:
        raise AttributeError(f"module 'hwsim' has no attribute {name!r}")
    return getattr(import_module(f"hwsim.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
