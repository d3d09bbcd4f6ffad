"""What is drawn: a module each, in the order of the report."""

from tools.fuzz.kinds import arrays, commands, machines, networks, points, results, traces, weights

KINDS = {
    module.KIND.name: module.KIND
    for module in (traces, arrays, machines, networks, points, commands, results, weights)
}
