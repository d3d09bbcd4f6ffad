"""Bytes that are mutated towards code that no input has reached yet, with Atheris.

``python -m tools.fuzz.guided READER [--seconds S]``, where Atheris (``pip install atheris``) is
installed; it is no part of this package's extras. One process reads input after input, so that an
input that ends it, or hangs, ends the run: libFuzzer keeps it in .fuzz/guided-READER and says so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from hwsim.errors import UserError

ROOT = Path(__file__).parents[2]


def _trace(path: Path) -> None:
    from hwsim.trace.files import verify

    verify(path)


def _machine(path: Path) -> None:
    from hwsim.arch.load import load_arch

    load_arch(path)


def _network(path: Path) -> None:
    from hwsim.network import load_network

    load_network(path)


def _topology(path: Path) -> None:
    from hwsim.network.scalesim import read_topology

    read_topology(path)


def _points(path: Path) -> None:
    from hwsim.sweep.axes import read_settings

    read_settings(path)


READERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "trace": (_trace, "t.h5"),
    "machine": (_machine, "m.yaml"),
    "network": (_network, "n.yaml"),
    "topology": (_topology, "t.csv"),
    "points": (_points, "p.csv"),
}
"""What reads the bytes, and the name of the file that they are put into."""


def sound_inputs(reader: str, folder: Path) -> None:
    """What mutations begin from."""
    from hwsim.files import asset_dir
    from tools.fuzz import sound
    from tools.fuzz.kinds import networks

    if reader == "trace":
        sound.write(folder / "whole")
        sound.write(folder / "bare", whole=False)
        sound.write_channels(folder / "heads", "input-channel-by-head")
    elif reader == "machine":
        text = (asset_dir("arch_configs") / "pe16x16.yaml").read_text(encoding="utf-8")
        (folder / "whole").write_text(text)
        (folder / "base").write_text("base: pe16x16\nindex:\n  lane_group: 4\n")
    elif reader == "network":
        (folder / "in").mkdir()
        networks.prepare(folder)
        (folder / "in" / "n.yaml").rename(folder / "whole")
    elif reader == "topology":
        for number, text in enumerate(networks.TOPOLOGIES):
            (folder / f"{number}").write_text(text)
    else:
        (folder / "points").write_text("array.rows,scheme\n8,dense\n16,unstructured\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Read mutated bytes until the time is over; UserError alone is let pass."""
    atheris = import_module("atheris")

    parser = argparse.ArgumentParser(prog="tools.fuzz.guided", description=__doc__.split("\n")[0])
    parser.add_argument("reader", choices=list(READERS))
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args(arguments)
    with atheris.instrument_imports(
        include=["hwsim", "pyfive", "yaml"], enable_loader_override=False
    ):
        import hwsim.arch.load
        import hwsim.network.file
        import hwsim.network.scalesim
        import hwsim.sweep.axes
        import hwsim.trace.files  # noqa: F401
    read, name = READERS[options.reader]
    kept = ROOT / ".fuzz" / f"guided-{options.reader}"
    kept.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="hwsim-guided-"))
    corpus = scratch / "corpus"
    corpus.mkdir()
    sound_inputs(options.reader, corpus)

    def one(contents: bytes) -> None:
        path = scratch / name
        path.write_bytes(contents)
        try:
            read(path)
        except UserError as error:
            if len(str(error).splitlines()) != 1:
                raise AssertionError(f"several lines: {error}") from error

    how = [f"-max_total_time={options.seconds}", "-timeout=10", "-rss_limit_mb=2048",
           f"-artifact_prefix={kept}/", "-max_len=70000", "-print_final_stats=1"]  # fmt: skip
    atheris.Setup([sys.argv[0], *how, str(corpus)], one)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
