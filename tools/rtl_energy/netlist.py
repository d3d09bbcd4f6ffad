"""Units mapped to a library's cells with yosys, as lists of cells and numbered nets."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.rtl_energy.liberty import Library

Connections = dict[str, int]


@dataclass(frozen=True)
class Instance:
    """A cell and the net of each of its connected pins; a constant is no net."""

    cell: str
    nets: Connections
    constants: dict[str, str]


@dataclass(frozen=True)
class Netlist:
    """``inputs`` and ``outputs``: the bits of each port, a net or "0", "1", "x" each."""

    name: str
    inputs: dict[str, tuple[int | str, ...]]
    outputs: dict[str, tuple[int | str, ...]]
    instances: tuple[Instance, ...]

    @property
    def nets(self) -> set[int]:
        """All nets that a pin or an input port is on."""
        found = {net for instance in self.instances for net in instance.nets.values()}
        return found | {bit for bits in self.inputs.values() for bit in bits if type(bit) is int}

    def area(self, library: Library) -> float:
        """Area of all cells, um2."""
        return sum(library.cells[instance.cell].area for instance in self.instances)

    def leakage(self, library: Library) -> float:
        """Leakage of all cells, nW."""
        return sum(library.cells[instance.cell].leakage for instance in self.instances)

    def verilog(self) -> str:
        """The netlist as module ``gates``, whose nets are called n1, n2 and so on."""
        ports = [*self.inputs, *self.outputs]
        lines = [f"module gates ({', '.join(ports)});"]
        lines += [f"  input [{len(bits) - 1}:0] {name};" for name, bits in self.inputs.items()]
        lines += [f"  output [{len(bits) - 1}:0] {name};" for name, bits in self.outputs.items()]
        driven = {bit for bits in self.outputs.values() for bit in bits if type(bit) is int}
        lines += [f"  wire n{net};" for net in sorted(self.nets | driven)]
        for name, bits in self.inputs.items():
            lines += [f"  assign n{bit} = {name}[{at}];" for at, bit in enumerate(bits)]
        for name, bits in self.outputs.items():
            lines += [f"  assign {name}[{at}] = {_bit(bit)};" for at, bit in enumerate(bits)]
        for number, instance in enumerate(self.instances):
            pins = {pin: f"n{net}" for pin, net in instance.nets.items()}
            pins |= {pin: f"1'b{bit}" for pin, bit in instance.constants.items()}
            joined = ", ".join(f".{pin}({net})" for pin, net in pins.items())
            lines.append(f"  {instance.cell} c{number} ({joined});")
        return "\n".join([*lines, "endmodule", ""])


def map_unit(
    module: str,
    sources: Sequence[Path],
    parameters: Mapping[str, int],
    option: str,
    liberty: Path,
    folder: Path,
) -> Netlist:
    """Synthesise ``module`` with an option of yosys' synth and map it to the cells of ``liberty``.

    No clock period is asked for. CalledProcessError where yosys fails.
    """
    settings = " ".join(f"-set {name} {value}" for name, value in parameters.items())
    report = folder / "netlist.json"
    commands = [
        # As boxes: a source may name a cell of the library, and is then left as it is.
        f"read_liberty -lib {liberty}",
        *(f"read_verilog {source}" for source in sources),
        *([f"chparam {settings} {module}"] if settings else []),
        f"synth -flatten {option} -top {module}",
        f"dfflibmap -liberty {liberty}",
        f"abc -liberty {liberty}",
        # What a source keeps apart (keep_hierarchy) is mapped apart, and joined here.
        "setattr -mod -unset keep_hierarchy *",
        "flatten",
        # A top with parametrised modules below it goes by the name of its parameters.
        f"rename -top {module}",
        "opt_clean -purge",
        "check -assert -mapped",
        f"write_json {report}",
    ]
    subprocess.run(["yosys", "-q", "-p", "; ".join(commands)], check=True)
    return read_netlist(json.loads(report.read_text()), module)


def read_netlist(design: Mapping[str, object], module: str) -> Netlist:
    """The netlist of ``module`` in what yosys' write_json wrote."""
    found = design["modules"][module]  # type: ignore[index]
    ports: dict[str, dict[str, tuple[int | str, ...]]] = {"input": {}, "output": {}}
    for name, port in found["ports"].items():
        ports[port["direction"]][name] = tuple(port["bits"])
    instances = []
    for cell in found["cells"].values():
        bits = {pin: bit[0] for pin, bit in cell["connections"].items() if bit}
        nets = {pin: bit for pin, bit in bits.items() if type(bit) is int}
        constants = {pin: bit for pin, bit in bits.items() if type(bit) is str}
        instances.append(Instance(cell["type"], nets, constants))
    return Netlist(module, ports["input"], ports["output"], tuple(instances))


def _bit(bit: int | str) -> str:
    return f"n{bit}" if type(bit) is int else f"1'b{bit}"
