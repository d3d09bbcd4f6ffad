"""Networks of two public collections, derived and run dense: the table of docs/guide/networks.md.

    python -m benchmarks.public_models [--write] [NAME ...]

Needs ``torchvision`` and ``timm`` beside the extra ``train``; weights are random. "published": the
MACs that torchvision says of its own model (none from timm).
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from hwsim.cli import OneLineParser
from hwsim.counters import DRAM_COUNTERS, C
from hwsim.errors import UserError
from hwsim.run.simulate import simulate
from hwsim.train.derive import derive_network

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "networks.md"
BEGIN, END = "<!-- public models -->\n", "<!-- /public models -->"

TORCHVISION = (
    "alexnet", "vgg16", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "googlenet",
    "inception_v3", "densenet121", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small",
    "shufflenet_v2_x1_0", "efficientnet_b0", "efficientnet_v2_s", "regnet_y_400mf", "mnasnet1_0",
    "convnext_tiny", "vit_b_32", "swin_t", "maxvit_t",
)  # fmt: skip
TIMM = (
    "convnext_atto", "ghostnet_100", "mixer_s32_224", "deit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224", "efficientformer_l1", "mobilevit_s", "repvgg_a0",
    "hrnet_w18_small", "resnest14d", "xception41", "poolformer_s12", "levit_128s", "cait_xxs24_224",
    "dla34", "res2net50_26w_4s", "skresnet18", "regnetx_002", "seresnet50",
)  # fmt: skip
SIZES = {"inception_v3": 299, "efficientnet_v2_s": 384}


def built(name: str) -> tuple[torch.nn.Module, float | None]:
    """The model with random weights, and the published MACs an image in millions."""
    import timm
    import torchvision

    if name not in TORCHVISION:
        return timm.create_model(name, pretrained=False), None
    weights = torchvision.models.get_model_weights(name).DEFAULT
    # Two of them would draw their weights from a slow distribution.
    slow = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = torchvision.models.get_model(name, weights=None, **slow)
    return model, 1e3 * weights.meta["_ops"]


def row(name: str) -> str:
    """The table's row; a refusal stands in it."""
    model, published = built(name)
    size = SIZES.get(name, 224)
    image = torch.zeros(1, 3, size, size)
    started = time.perf_counter()
    try:
        network = derive_network(model.eval(), image)
    except UserError as error:
        return f"| {name} | refused: {error} | | | | | | |"
    spent = time.perf_counter() - started
    result = simulate("pe16x16", network, batch=1)
    maps = len(network.layers) - len(network.convolutions)
    told = "-" if published is None else f"{published:,.0f}"
    mj = sum(result.energy_pj.values()) / 1e9
    dram_bytes = sum(int(result.counters[:, C[name]].sum()) for name in DRAM_COUNTERS)
    cells = (
        name, f"{len(network.layers)} ({maps})", f"{network.macs / 1e6:,.1f}", told,
        f"{spent:.2f}", f"{result.cycles / 1e6:,.2f}", f"{dram_bytes / 1e6:,.1f}",
        f"{mj:.2f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def table(names: tuple[str, ...]) -> Iterator[str]:
    yield (
        "| model | layers (maps) | MMACs | published | seconds to derive | Mcycles | DRAM MB "
        "| energy mJ |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for name in names:
        yield row(name)


def main(argv: list[str] | None = None) -> int:
    parser = OneLineParser(prog="python -m benchmarks.public_models", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="models (default: all)")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    options: Any = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    lines = []
    for line in table(tuple(options.names) or TORCHVISION + TIMM):
        print(line, flush=True)
        lines.append(line)
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}{chr(10).join(lines)}\n{END}{rest.split(END)[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
