"""A fair fight: every scheme on the machine that the area of a reference scheme buys.

    python -m hwsim.fair --reference unstructured --out DIR

Each scheme runs on the machine as it is, and on the fastest of those of equal area: the same
memories and, for each choice of columns and banks, the most rows that the reference's area holds.
With the machine's own banks (the default) both are also of equal activation bandwidth. Rows are
those of sweeps, in the same kind of folder: nothing is run twice. Exit status 0; 2 for bad input.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.arch import ArchConfig
from hwsim.channel_order import NATURAL
from hwsim.errors import OneLineParser, UserError, nearest, positive
from hwsim.executors import workers_of
from hwsim.files import write_whole
from hwsim.sweep import add_machine, add_masks, base_of, guarded, replay
from hwsim.trace import MaskTrace, open_traces

if TYPE_CHECKING:
    import pandas as pd

    from hwsim.points import Choice, Point

AS_IT_IS, EQUAL_AREA = "as it is", "equal area"

TABLE = "_fair.parquet"
"""Readers of Parquet folders pass over names with an underscore."""


@dataclass(frozen=True)
class Terms:
    """What the schemes are compared under; every combination is a table of its own.

    ``columns`` and ``banks``: what machines of equal area may have, None for the machine's own.
    """

    reference: str = "unstructured"
    schemes: Sequence[str] | None = None
    columns: Sequence[int] | None = None
    banks: Sequence[int] | None = None
    batches: Sequence[int] | None = None
    orders: Sequence[str] | None = None
    tables: Sequence[str] | None = None
    operand_network: Sequence[float] | None = None


@dataclass(frozen=True)
class Contender:
    """One scheme on one machine, under one set of terms; ``limit_mm2`` is the reference's area."""

    machine: str
    limit_mm2: float
    point: Point


def run_fair(
    arch: ArchConfig,
    out: str | Path,
    terms: Terms | None = None,
    *,
    traces: Sequence[str | Path] = (),
    order_from: Sequence[str | Path] = (),
    images: int | None = None,
    workers: int | None = None,
) -> pd.DataFrame:
    """Replay all contenders that folder ``out`` lacks; of those of equal area the fastest stay.

    One row per terms, trace, scheme and machine (``machine``: "as it is" or "equal area"), with a
    sweep's columns and ``limit_mm2``, ``pes``, ``peak_bytes_per_cycle``,
    ``speedup_over_dense_as_it_is`` and ``speedup_over_dense_of_equal_area``. Machines that
    cannot hold a layer are left out. Raises UserError before anything runs.
    """
    from hwsim.points import Choice
    from hwsim.results_folder import ResultsFolder

    held = open_traces(*traces)
    choice = Choice(held, images=images, order_from=open_traces(*order_from) if order_from else ())
    contenders = list(contenders_of(arch, choice, terms or Terms()))
    folder = ResultsFolder(out)
    points = list(dict.fromkeys(contender.point for contender in contenders))
    with workers_of(workers) as where:
        replay(points, held, folder, where, skip_impossible=True)
    rows = folder.read([point.key for point in points])
    found = fastest(contenders, rows)
    write_whole(folder.path / TABLE, found.to_parquet())
    return found


def contenders_of(arch: ArchConfig, choice: Choice, terms: Terms) -> Iterator[Contender]:
    """Every scheme that fits, on the machine as it is and on those of equal area.

    The reference's area is that of its hardware for each trace's own masks. UserError where the
    reference fits no trace.
    """
    from hwsim.points import of_machine
    from hwsim.simulate import usable_schemes

    reference = of_machine(terms.reference, arch)
    known = {name for trace in choice.traces for name in usable_schemes(arch, trace)}
    for name in (terms.reference, *(terms.schemes or ())):
        if of_machine(name, arch) not in known:
            raise UserError(
                f"scheme {name!r}: fits none of the masks{nearest(name, sorted(known))}"
            )
    wanted = {of_machine(name, arch) for name in terms.schemes} if terms.schemes else known
    for priced in _priced(arch, terms):
        for trace in choice.traces:
            usable = usable_schemes(arch, trace)
            if reference in usable:
                names = [name for name in usable if name in wanted | {"dense", reference}]
                yield from _of_trace(priced, trace, names, reference, choice, terms)


def _priced(arch: ArchConfig, terms: Terms) -> Iterator[ArchConfig]:
    """The machine under each energy table and price of the operand network."""
    own = arch.pricing
    scales = terms.operand_network or [own.operand_network_scale]
    for table, scale in product(terms.tables or [own.table], scales):
        update = {"table": table, "operand_network_scale": float(scale)}
        yield arch.model_copy(update={"pricing": own.model_copy(update=update)})


def _of_trace(
    arch: ArchConfig,
    trace: MaskTrace,
    names: Sequence[str],
    reference: str,
    choice: Choice,
    terms: Terms,
) -> Iterator[Contender]:
    """Contenders of one trace and one set of prices."""
    from hwsim.equal_area import area_mm2
    from hwsim.points import points_of

    limit = area_mm2(arch, reference, trace.mask_group)
    for batch, order in product(terms.batches or [arch.batch], terms.orders or [NATURAL]):
        for name in names:
            machines = [(AS_IT_IS, arch), *_of_area(arch, name, limit, trace.mask_group, terms)]
            for machine, built in machines:
                setting = _setting(built) | {
                    "batch": batch,
                    "trace": str(trace.path),
                    "scheme": name,
                    "channel_order": order,
                }
                (point,) = points_of(arch, [setting], choice)
                yield Contender(machine, limit, point)


def _of_area(
    arch: ArchConfig, scheme: str, limit_mm2: float, mask_group: int, terms: Terms
) -> Iterator[tuple[str, ArchConfig]]:
    """For each choice of columns and banks the machine with the most rows; UserError for others."""
    from hwsim.arch import build_arch
    from hwsim.equal_area import with_most_rows

    banks = terms.banks or [arch.activation.banks]
    for wide, many in product(terms.columns or [arch.array.columns], banks):
        data = arch.model_dump(mode="json")
        data["array"] |= {"rows": 1, "columns": wide, "reshape": []}
        data["activation"]["banks"] = many
        narrow = build_arch(data, f"--columns {wide} --banks {many}")
        found = with_most_rows(narrow, scheme, limit_mm2, mask_group)
        if found:
            yield EQUAL_AREA, found


def _setting(arch: ArchConfig) -> dict[str, Any]:
    return {
        "array.rows": arch.array.rows,
        "array.columns": arch.array.columns,
        "array.reshape": [list(shape) for shape in arch.array.reshape],
        "activation.banks": arch.activation.banks,
        "pricing.table": arch.pricing.table,
        "pricing.operand_network_scale": arch.pricing.operand_network_scale,
    }


UNDER = ["pricing.table", "pricing.operand_network_scale", "batch", "channel_order", "trace_sha256"]
"""Columns that contenders share: those of one table, and the masks."""


def fastest(contenders: Sequence[Contender], rows: pd.DataFrame) -> pd.DataFrame:
    """Of machines of equal area those with the fewest cycles, on a tie the one listed first.

    ``rows``: of a sweep, those of the contenders' points; impossible ones are left out.
    """
    import pandas as pd

    sides = pd.DataFrame(
        [(one.point.key, one.machine, one.limit_mm2) for one in contenders],
        columns=["key", "machine", "limit_mm2"],
    )
    found = sides.merge(rows[rows["impossible"].isna()], on="key", how="inner")
    found["pes"] = found["array.rows"] * found["array.columns"]
    found["peak_bytes_per_cycle"] = found["activation.banks"] * found["activation.word_channels"]
    by = [*UNDER, "scheme", "machine"]
    found = found.loc[found.groupby(by, sort=False)["cycles_per_image"].idxmin()]
    for side in (AS_IT_IS, EQUAL_AREA):
        dense = found[(found["scheme"] == "dense") & (found["machine"] == side)]
        cycles = dense.set_index(UNDER)["cycles_per_image"]
        keys = pd.MultiIndex.from_frame(found[UNDER])
        named = f"speedup_over_dense_{side if side == AS_IT_IS else 'of ' + side}"
        found[named.replace(" ", "_")] = (
            cycles.reindex(keys).to_numpy() / found["cycles_per_image"].to_numpy()
        )
    return found.reset_index(drop=True)


def show(found: pd.DataFrame) -> None:
    """One table per terms, on standard output."""
    for terms, rows in found.groupby(UNDER[:-1], sort=False):
        table, scale, batch, order = terms
        print(f"\n{table}, operand network x{scale:g}, batch {batch}, channel order {order}\n")
        print(
            f"{'masks':6} {'scheme':17} {'machine':10} {'array':>7} {'PEs':>5} {'banks':>5} "
            f"{'read B/cycle':>12} {'of peak':>7} {'mm2':>6} {'cycles/image':>12} "
            f"{'x dense':>7} {'x dense of area':>15} {'uJ/image':>8}"
        )
        for _, row in rows.iterrows():
            array = f"{row['array.rows']}x{row['array.columns']}"
            print(
                f"{row['method']:6} {row['scheme']:17} {row['machine']:10} {array:>7} "
                f"{row['pes']:5} {row['activation.banks']:5} "
                f"{row['activation_bytes_per_cycle']:12.1f} {row['peak_bytes_per_cycle']:7} "
                f"{row['area_mm2']:6.3f} {row['cycles_per_image']:12,.0f} "
                f"{row['speedup_over_dense_as_it_is']:7.2f} "
                f"{row['speedup_over_dense_of_equal_area']:15.2f} {row['energy_uj_per_image']:8.1f}"
            )


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="hwsim.fair", description="schemes at equal area and bandwidth")
    add = parser.add_argument
    add_machine(parser, vary=False)
    add("--reference", default="unstructured", metavar="NAME",
        help="the scheme whose area all may take (default: unstructured)")  # fmt: skip
    add_masks(parser)
    add("--scheme", nargs="+", metavar="NAME", help="default: all that fit; dense runs always")
    add("--columns", nargs="+", type=positive, metavar="C", help="default: the machine's")
    add("--banks", nargs="+", type=positive, metavar="B", help="default: the machine's")
    add("--table", nargs="+", metavar="NAME", help="energy tables; default: the machine's")
    add("--operand-network", nargs="+", type=float, metavar="X",
        help="price factors of energy and area; default: the machine's")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    return guarded("hwsim.fair", lambda: _command(options))


def _command(options: argparse.Namespace) -> None:
    found = run_fair(
        base_of(options),
        options.out,
        Terms(
            options.reference, options.scheme, options.columns, options.banks, options.batch,
            options.channel_order, options.table, options.operand_network,
        ),
        traces=options.trace,
        order_from=options.order_from,
        images=options.images,
        workers=options.workers,
    )  # fmt: skip
    show(found)
    print(f"\nthe fastest machines are shown; {options.out} holds all, {TABLE} there these")


if __name__ == "__main__":
    raise SystemExit(main())
