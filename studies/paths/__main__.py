"""Whether base paths keep detail and conditional paths edges: figures and maps, with controls.

    python -m studies.paths --weights FILE --data DIR --out DIR [--images 256] [--show 6]

Prints every gated layer of the trained network beside the untrained one, as it is and with its
thresholds moved to the trained densities. DIR gets paths.csv (all figures) and paths.npz (pictures
and maps of the first images, which ``figure.path_maps`` draws). docs/guide/paths.md says what the
figures mean and what they cannot show.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from hwsim.cli import OneLineParser, positive, status_of
from hwsim.errors import UserError, nearest
from hwsim.files import whole, write_whole
from hwsim.text_table import print_table
from hwsim.train.evaluate.evaluation import RECALIBRATION_IMAGES
from hwsim.train.evaluate.untrained import set_densities, untrained_like
from hwsim.train.images.dataset import add_options, both_splits, chosen, tell_cache
from hwsim.train.networks import models
from hwsim.train.networks.inference import RECORDING_BATCH, evaluating, hooked, watched_batches
from hwsim.train.report import announce
from studies.paths.figure import NETWORKS
from studies.paths.layer_paths import MAPS, SHOWN, SUMS, LayerBatch, Site, row_of, sites_of
from studies.paths.spatial import edges

if TYPE_CHECKING:
    import pandas as pd

ALL_LAYERS = "all layers"


def path_figures(
    encoder: models.ResNet18, images: Tensor, show: int = 0, layers: Sequence[str] = ()
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """(figures, maps) of uint8 images (N, 3, H, W) on the diagonal branch.

    Figures: a row per gated layer and one of all layers (means; ``left_out_*``: sums); columns in
    docs/guide/paths.md. Maps: ``layer/part`` of ``layers`` for the first ``show`` images, float32
    (show, h, w). Raises UserError for an encoder without gated layers.
    """
    import pandas as pd

    sites = list(sites_of(encoder))
    seen: dict[str, list[LayerBatch]] = {site.name: [] for site in sites}
    edge: Tensor
    shown = 0

    def observer(site: Site) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
        def observe(_: nn.Module, args: tuple[Any, ...], __: Tensor) -> None:
            kept = shown if site.name in layers else 0
            x, branch = args
            seen[site.name].append(LayerBatch.of(site, x, branch, edge, kept))

        return observe

    batch = RECORDING_BATCH
    parts = zip(images.split(batch), watched_batches(images, "measuring"), strict=True)
    with evaluating(encoder), hooked(after=((site.layer, observer(site)) for site in sites)):
        for number, (picture, pixels) in enumerate(parts):
            edge, shown = edges(picture), max(0, show - number * batch)
            encoder(pixels, "diagonal")
    frame = pd.DataFrame([row_of(name, batches) for name, batches in seen.items()])
    whole = frame.drop(columns=["layer", "height", "width"]).mean().to_dict()
    whole |= {"layer": ALL_LAYERS, "images": len(images)}
    whole |= {f"left_out_{part}": frame[f"left_out_{part}"].sum() for part in MAPS}
    kept = {
        f"{name}/{part}": torch.cat([batch.maps[part] for batch in seen[name]]).numpy()
        for name in layers
        for part in SHOWN
    }
    frame = pd.concat([frame, pd.DataFrame([whole])], ignore_index=True)
    return frame.astype({"height": "Int64", "width": "Int64"}), kept


def figures_with_controls(
    encoder: models.ResNet18,
    seed: int,
    train: Tensor,
    images: Tensor,
    show: int = 0,
    layers: Sequence[str] = (),
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """:func:`path_figures` of the encoder and its controls: a column, and a prefix, ``network``.

    The untrained network of ``seed``, recalibrated on ``train`` (uint8, of the training split), and
    the same with thresholds that open as many gates of each layer as training did.
    """
    import pandas as pd

    announce("measuring the trained network")
    found = [path_figures(encoder, images, show, layers)]
    announce("measuring the untrained network, recalibrated")
    control = untrained_like(encoder, seed, train)
    found.append(path_figures(control, images, show, layers))
    announce("measuring the untrained network at the trained densities")
    trained = found[0][0]
    set_densities(control, dict(zip(trained["layer"], trained["density"], strict=True)), train)
    found.append(path_figures(control, images, show, layers))
    frames, maps = zip(*found, strict=True)
    figures = pd.concat(dict(zip(NETWORKS, frames, strict=True)), names=["network"])
    named = zip(NETWORKS, maps, strict=True)
    return figures.reset_index(level=0).reset_index(drop=True), {
        f"{network}/{name}": values for network, own in named for name, values in own.items()
    }


def print_path_figures(figures: pd.DataFrame) -> None:
    """Correlations and shares, each cell the three networks in the order of NETWORKS."""
    for figure, parts in (("edge_correlation", MAPS), ("high_frequency_share", SUMS)):
        lines = []
        for layer, rows in figures.groupby("layer", sort=False):
            columns = [rows[f"{figure}_{part}"] for part in parts]
            lines.append([str(layer), *(" ".join(map(_short, column)) for column in columns)])
        headings = ["layer", *(part.replace("_", "\n") for part in parts)]
        print_table(headings, lines, title=figure.replace("_", " "))
    print("in each cell: trained, untrained, untrained at equal density")
    whole = figures[figures["layer"] == ALL_LAYERS]
    print(f"share of open gates, mean over layers: {' '.join(map(_short, whole.density))}")


def _short(value: float) -> str:
    """ ".42", "-.42" or "-": three to a cell, four cells to a line of 80 characters."""
    return "   -" if np.isnan(value) else f"{value:z.2f}".replace("0.", ".", 1).rjust(4)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = OneLineParser(
        prog="python -m studies.paths",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--weights", type=Path, required=True, help="weights of hwsim train (.npz)")
    add_options(parser)
    add(
        "--images",
        type=positive,
        default=256,
        help="the first N test images (default: %(default)s)",
    )
    add("--show", type=positive, default=6, help="maps of the first N of them in "
        "paths.npz (default: %(default)s)")  # fmt: skip
    add("--layers", nargs="+", metavar="LAYER", help="in paths.npz (default: each stage's first)")
    add("--out", type=Path, required=True, help="folder for paths.csv and paths.npz")
    return parser.parse_args(argv)


def chosen_layers(encoder: models.ResNet18, asked: Sequence[str] | None) -> list[str]:
    """The layers asked for, or the first gated layer of each stage. Raises UserError."""
    names = [site.name for site in sites_of(encoder)]
    for name in asked or ():
        if name not in names:
            raise UserError(f"--layers {name}: no such gated layer{nearest(name, names)}")
    if asked:
        return list(dict.fromkeys(asked))
    return list({name.partition(".")[0]: name for name in reversed(names)}.values())[::-1]


def measure_and_write(args: argparse.Namespace) -> pd.DataFrame:
    """Measure and write; the figures."""
    encoder, training = models.load_weights(args.weights)
    try:
        layers = chosen_layers(encoder, args.layers)
    except UserError as error:
        raise UserError(f"{args.weights}: {error}") from None
    if not isinstance(training.get("seed"), int):
        raise UserError(f"{args.weights}: no seed in its training record, so nothing to compare to")
    source = chosen(args)
    train, test = both_splits(args, source)
    images = test.images[: args.images]
    figures, maps = figures_with_controls(
        encoder, training["seed"], train.images[:RECALIBRATION_IMAGES], images, args.show, layers
    )
    pictures = images[: args.show]
    about = {
        "weights": args.weights.name, "method": encoder.method, "layers": layers,
        "dataset": source.name, "image_ids": list(range(len(pictures))),
        "barely_trained": bool(training.get("barely_trained")),
    }  # fmt: skip
    contents = {
        "about": np.array(json.dumps(about)),
        "pictures": pictures.permute(0, 2, 3, 1).numpy(),
        "edges": edges(pictures).numpy(),
        **maps,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    with whole(args.out / "paths.npz") as temporary, temporary.open("wb") as handle:
        np.savez(handle, allow_pickle=False, **contents)
    write_whole(args.out / "paths.csv", figures.to_csv(index=False))
    return figures


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    return status_of("python -m studies.paths", lambda: _command(args))


def _command(args: argparse.Namespace) -> None:
    print_path_figures(measure_and_write(args))
    tell_cache(args)


if __name__ == "__main__":
    sys.exit(main())
