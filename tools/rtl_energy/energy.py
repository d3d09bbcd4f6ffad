"""What the toggles of a netlist take: 0.5 C V^2 for each pin, and the tables' internal energy."""

from __future__ import annotations

from dataclasses import dataclass

from tools.rtl_energy.liberty import Library, Pin, Power, Table
from tools.rtl_energy.netlist import Instance, Netlist
from tools.rtl_energy.toggles import Toggles


@dataclass(frozen=True)
class Energy:
    """pJ. ``clock`` is what the clock pins of flip-flops and latches take, ``rest`` all else."""

    clock: float
    rest: float

    @property
    def total(self) -> float:
        return self.clock + self.rest


def loads(netlist: Netlist, library: Library, wire_pf: float = 0.0) -> dict[int, float]:
    """Capacitance of each net, pF: its input pins, and ``wire_pf`` for every pin on it."""
    found = dict.fromkeys(netlist.nets, 0.0)
    for instance in netlist.instances:
        pins = library.cells[instance.cell].pins
        for name, net in instance.nets.items():
            found[net] += wire_pf + (0.0 if pins[name].output else pins[name].capacitance)
    return found


def energy(
    netlist: Netlist, toggles: Toggles, library: Library, slew: float, wire_pf: float = 0.0
) -> Energy:
    """Energy of the counted toggles, pJ; every transition is taken to have ``slew`` ns."""
    on_net = loads(netlist, library, wire_pf)
    clock = rest = 0.0
    for instance in netlist.instances:
        pins = library.cells[instance.cell].pins
        for name, net in instance.nets.items():
            pin = pins[name]
            charged = wire_pf + (0.0 if pin.output else pin.capacitance)
            taken = 0.5 * charged * library.volts**2 * toggles.of(f"n{net}")
            taken += _internal(instance, pin, toggles, on_net[net], slew)
            if pin.clock:
                clock += taken
            else:
                rest += taken
    return Energy(clock, rest)


def _internal(instance: Instance, pin: Pin, toggles: Toggles, load: float, slew: float) -> float:
    """Of a pin's rises and falls inside the cell, pJ.

    A dump does not say which input made an output change. The tables of several inputs are
    weighted by how often these toggle.
    """
    if not pin.powers:
        return 0.0
    net = f"n{instance.nets[pin.name]}"
    weights = [_weight(instance, power, toggles) for power in pin.powers]
    if not any(weights):
        weights = [1.0] * len(weights)
    taken = 0.0
    for power, weight in zip(pin.powers, weights, strict=True):
        rises = _at(power.rise, load, slew) * toggles.rises[net]
        falls = _at(power.fall, load, slew) * toggles.falls[net]
        taken += weight / sum(weights) * (rises + falls)
    return taken


def _weight(instance: Instance, power: Power, toggles: Toggles) -> float:
    if power.related not in instance.nets:
        return 0.0 if power.related else 1.0
    return float(toggles.of(f"n{instance.nets[power.related]}"))


def _at(table: Table | None, load: float, slew: float) -> float:
    return table.at(load, slew) if table else 0.0
