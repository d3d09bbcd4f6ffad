"""``hwsim equal-area``: every scheme on the machine that the area of a reference scheme buys.

    hwsim equal-area --reference unstructured --out DIR

Each scheme runs on the machine given, the baseline, and on the fastest machine of equal area: the
same memories and, for each choice of columns and banks, the most rows that the reference's area
holds. With the machine's own banks (the default) both are also of equal activation bandwidth. Rows
are a sweep's, in the same kind of folder: nothing is run twice.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import arch_of, as_arch, build_arch
from hwsim.arch.schemes import of_machine, with_suffixes
from hwsim.cli import OneLineParser, add_machine, add_results, finite, positive, run_command
from hwsim.errors import UserError, nearest
from hwsim.files import write_whole
from hwsim.sweep.options import GOES_ON, add_masks
from hwsim.sweep.sweep import run_points
from hwsim.sweep.workers import workers_of
from hwsim.text_table import print_table, three_digits
from hwsim.trace.channel_order import NATURAL
from hwsim.trace.files import open_traces
from hwsim.trace.mask_trace import MaskTrace

if TYPE_CHECKING:
    import pandas as pd

    from hwsim.sweep.points import Choice, Point

BASELINE, EQUAL_AREA = "baseline", "equal area"
"""The machine given, and one of equal area: values of the column ``machine``."""

TABLE = "_equal_area.parquet"
"""Readers of Parquet folders pass over names with an underscore."""


@dataclass(frozen=True)
class Setup:
    """What schemes are compared under; every combination of lists is a table of its own.

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
class Candidate:
    """One scheme on one machine; ``limit_mm2`` is the reference's area."""

    machine: str
    limit_mm2: float
    point: Point


def run_equal_area(
    arch: str | Path | ArchConfig,
    out: str | Path,
    setup: Setup | None = None,
    *,
    traces: Sequence[str | Path] = (),
    order_from: Sequence[str | Path] = (),
    images: int | None = None,
    workers: int | None = None,
) -> pd.DataFrame:
    """Replay all candidates that folder ``out`` lacks; of machines of equal area the fastest stay.

    One row per setup, trace, scheme and machine (``machine``: "baseline" or "equal area"), with a
    sweep's columns and ``limit_mm2``, ``pes``, ``peak_bytes_per_cycle``,
    ``speedup_over_dense_baseline`` and ``speedup_over_dense_of_equal_area``. Machines that cannot
    hold a layer are left out. Raises UserError before anything runs.
    """
    from hwsim.sweep.folder import ResultsFolder
    from hwsim.sweep.points import Choice

    base = as_arch(arch)
    held = open_traces(*traces)
    choice = Choice(held, images=images, order_from=open_traces(*order_from) if order_from else ())
    candidates = list(candidates_of(base, choice, setup or Setup()))
    folder = ResultsFolder(out)
    points = list(dict.fromkeys(candidate.point for candidate in candidates))
    with workers_of(workers) as where:
        run_points(points, held, folder, where, skip_impossible=True)
    rows = folder.read([point.key for point in points])
    found = fastest(candidates, rows)
    write_whole(folder.path / TABLE, found.to_parquet())
    return found


def candidates_of(arch: ArchConfig, choice: Choice, setup: Setup) -> Iterator[Candidate]:
    """Every scheme that fits, on the baseline and on the machines of equal area.

    The reference's area is that of its hardware for each trace's own masks. UserError where the
    reference fits no trace.
    """
    from hwsim.run.simulate import usable_schemes

    reference = of_machine(setup.reference, arch)
    plain = {name for trace in choice.traces for name in usable_schemes(arch, trace)}
    known = {*plain, *with_suffixes(plain, arch)}
    for name in (setup.reference, *(setup.schemes or ())):
        if of_machine(name, arch) not in known:
            raise UserError(
                f"scheme {name!r}: fits none of the masks{nearest(name, sorted(known))}"
            )
    wanted = {of_machine(name, arch) for name in setup.schemes} if setup.schemes else plain
    for priced in _priced(arch, setup):
        for trace in choice.traces:
            usable = usable_schemes(arch, trace)
            usable = [*usable, *with_suffixes(usable, arch)]
            if reference in usable:
                names = [name for name in usable if name in wanted | {"dense", reference}]
                yield from _of_trace(priced, trace, names, reference, choice, setup)


def _priced(arch: ArchConfig, setup: Setup) -> Iterator[ArchConfig]:
    """The machine under each energy table and price of the operand network."""
    own = arch.pricing
    scales = setup.operand_network or [own.operand_network_scale]
    for table, scale in product(setup.tables or [own.table], scales):
        update = {"table": table, "operand_network_scale": float(scale)}
        yield arch.model_copy(update={"pricing": own.model_copy(update=update)})


def _of_trace(
    arch: ArchConfig,
    trace: MaskTrace,
    names: Sequence[str],
    reference: str,
    choice: Choice,
    setup: Setup,
) -> Iterator[Candidate]:
    """Candidates of one trace and one set of prices."""
    from hwsim.sweep.points import points_of
    from hwsim.sweep.sizing import area_mm2

    limit = area_mm2(arch, reference, trace.mask_group)
    for batch, order in product(setup.batches or [arch.batch], setup.orders or [NATURAL]):
        for name in names:
            machines = [(BASELINE, arch), *_of_area(arch, name, limit, trace.mask_group, setup)]
            for machine, built in machines:
                setting = _setting(built) | {
                    "batch": batch,
                    "trace": str(trace.path),
                    "scheme": name,
                    "channel_order": order,
                }
                (point,) = points_of(arch, [setting], choice)
                yield Candidate(machine, limit, point)


def _of_area(
    arch: ArchConfig, scheme: str, limit_mm2: float, mask_group: int, setup: Setup
) -> Iterator[tuple[str, ArchConfig]]:
    """For each choice of columns and banks the machine with the most rows; UserError for others."""
    from hwsim.sweep.sizing import with_most_rows

    banks = setup.banks or [arch.activation.banks]
    for wide, many in product(setup.columns or [arch.array.columns], banks):
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
"""Columns that candidates share: what makes a table, and the masks."""


def fastest(candidates: Sequence[Candidate], rows: pd.DataFrame) -> pd.DataFrame:
    """Of machines of equal area those with the fewest cycles, on a tie the one listed first.

    ``rows``: of a sweep, for the candidates' points; impossible ones are left out.
    """
    import pandas as pd

    sides = pd.DataFrame(
        [(one.point.key, one.machine, one.limit_mm2) for one in candidates],
        columns=["key", "machine", "limit_mm2"],
    )
    found = sides.merge(rows[rows["impossible"].isna()], on="key", how="inner")
    found["pes"] = found["array.rows"] * found["array.columns"]
    found["peak_bytes_per_cycle"] = found["activation.banks"] * found["activation.word_channels"]
    by = [*UNDER, "scheme", "machine"]
    found = found.loc[found.groupby(by, sort=False)["cycles_per_image"].idxmin()]
    for side, column in (
        (BASELINE, "speedup_over_dense_baseline"),
        (EQUAL_AREA, "speedup_over_dense_of_equal_area"),
    ):
        dense = found[(found["scheme"] == "dense") & (found["machine"] == side)]
        cycles = dense.set_index(UNDER)["cycles_per_image"]
        keys = pd.MultiIndex.from_frame(found[UNDER])
        found[column] = cycles.reindex(keys).to_numpy() / found["cycles_per_image"].to_numpy()
    return found.reset_index(drop=True)


HEADINGS = (
    "masks", "scheme", "machine", "array", "PEs", "banks", "read\nB/cycle", "peak\nB/cycle",
    "area\nmm2", "cycles\n/image", "x dense\nbaseline", "x dense of\nequal area",
    "energy\nuJ/image",
)  # fmt: skip


def show(found: pd.DataFrame) -> None:
    """One table per setup, on standard output."""
    for under, rows in found.groupby(UNDER[:-1], sort=False):
        table, scale, batch, order = under
        title = f"{table}, operand network x{scale:g}, batch {batch}, channel order {order}"
        print_table(HEADINGS, [_cells(row) for _, row in rows.iterrows()], title=title, names=3)


def _cells(row: pd.Series) -> list[str]:
    return [
        row["method"],
        row["scheme"],
        row["machine"],
        f"{row['array.rows']}x{row['array.columns']}",
        str(row["pes"]),
        str(row["activation.banks"]),
        f"{row['activation_bytes_per_cycle']:.1f}",
        str(row["peak_bytes_per_cycle"]),
        f"{row['area_mm2']:.3f}",
        f"{row['cycles_per_image']:,.0f}",
        f"{row['speedup_over_dense_baseline']:.2f}",
        f"{row['speedup_over_dense_of_equal_area']:.2f}",
        three_digits(row["energy_uj_per_image"]),
    ]


def build_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="hwsim equal-area",
        description="Compare schemes on machines of equal area and bandwidth.",
    )
    add = parser.add_argument
    add_machine(parser)
    add("--reference", default="unstructured", metavar="NAME",
        help="the scheme whose area all may take (default: unstructured)")  # fmt: skip
    add_masks(parser)
    add("--scheme", nargs="+", metavar="NAME", help="default: all that fit; dense runs always")
    add("--columns", nargs="+", type=positive, metavar="C", help="default: the machine's")
    add("--banks", nargs="+", type=positive, metavar="B", help="default: the machine's")
    add("--table", nargs="+", metavar="NAME", help="energy tables (default: the machine's)")
    add("--operand-network", nargs="+", type=finite, metavar="X",
        help="price factors of energy and area (default: the machine's)")  # fmt: skip
    add_results(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), _command, arguments, GOES_ON)


def _command(options: argparse.Namespace) -> None:
    found = run_equal_area(
        arch_of(options),
        options.out,
        Setup(
            options.reference, options.scheme, options.columns, options.banks, options.batch,
            options.channel_order, options.table, options.operand_network,
        ),
        traces=options.trace,
        order_from=options.order_from,
        images=options.images,
        workers=options.workers,
    )  # fmt: skip
    show(found)
    print(f"the fastest machines are shown; {options.out} holds all, {TABLE} there these")
