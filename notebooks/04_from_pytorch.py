# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4. From a PyTorch model to a result
#
# You have a network with gates of your own. What would hardware make of it? Four steps: watch it
# run, write what its gates decide as a trace, check the trace, replay it.
#
# The network here is small, made up for this page and trained for seconds on drawn squares. It
# shows the way, and nothing about gating as such.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from torch import nn

import hwsim
from hwsim import plots
from hwsim.train.images.views import load_split, plain
from hwsim.train.record import Recorder

pd.options.display.float_format = "{:z,.2f}".format
folder = tempfile.TemporaryDirectory()
_ = torch.manual_seed(0)

# %% [markdown]
# ## The network: yours
#
# A gate sees the *base* sum of a layer: each of four groups of output channels has looked at one
# of four groups of input channels. Where that is large, the gate lets the other three quarters be
# computed. It decides for eight channels at a pixel together. Its output is boolean.


# %%
class Gate(nn.Module):
    """True where the rest of the convolution is worth computing."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels // 8, affine=False)

    def forward(self, base):
        return self.norm(base.unflatten(1, (-1, 8)).mean(2)) > 0.5


class GatedConvolution(nn.Module):
    """Where its gate is shut, the output keeps its base sum."""

    def __init__(self, channels, out, stride=1):
        super().__init__()
        self.full = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.gate = Gate(out)

    def forward(self, x):
        blocks = [rows.chunk(4, 1)[g] for g, rows in enumerate(self.full.weight.chunk(4))]
        base = F.conv2d(x, torch.cat(blocks), stride=self.full.stride, padding=1, groups=4)
        return torch.where(self.gate(base).repeat_interleave(8, 1), self.full(x), base)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, 2, 1)
        self.first = GatedConvolution(64, 64)
        self.second = GatedConvolution(64, 128, stride=2)
        self.third = GatedConvolution(128, 128)
        self.norms = nn.ModuleList([nn.BatchNorm2d(64), nn.BatchNorm2d(128), nn.BatchNorm2d(128)])
        self.classifier = nn.Linear(128, 10)

    def forward(self, x):
        x = self.stem(x).relu()
        x = self.norms[0](x + self.first(x)).relu()
        x = self.norms[1](self.second(x)).relu()
        x = self.norms[2](x + self.third(x)).relu()
        return self.classifier(x.mean((2, 3)))


# %% [markdown]
# ## A short training
#
# The data are drawn: coloured squares on noise, ten sizes and colours, the same on every machine.
# No download.

# %%
train, test = (load_split(Path("tiny"), split, Path(folder.name)) for split in ("train", "test"))
model = Net().train()
optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
steps, batch = 40, 32
for chosen in torch.randint(len(train), (steps, batch)):
    loss = F.cross_entropy(model(plain(train.images[chosen])), train.labels[chosen])
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

# %%
model.eval()
with torch.no_grad():
    correct = (model(plain(test.images)).argmax(1) == test.labels).float().mean().item()
Markdown(f"{steps} steps of {batch} images: {correct:.0%} of {len(test)} test images are right.")

# %% [markdown]
# ## Watch it and write the trace
#
# `Recorder.attach` is told which module makes the mask of which layer. It finds the layers, their
# sizes and who reads whom from one example. On the first batch it checks that masks applied to
# the layer's own base and conditional sums give the layer's output; a trace that hardware could
# not have made is refused.

# %%
gates = {"first": "first.gate", "second": "second.gate", "third": "third.gate"}
with Recorder.attach(model, gates, example=plain(test.images[:1])) as recorder, torch.no_grad():
    model(plain(test.images[:64]))
path = Path(folder.name) / "mine.h5"
training = {"steps": steps, "batch": batch, "accuracy": correct, "barely_trained": True}
recorder.write(path, method="mine", dataset="drawn squares, test split", training=training)

# %% [markdown]
# `barely_trained` puts a label on every table and figure below.
#
# ## Check it
#
# `verify` reads the file once, with every checksum; `hwsim trace verify FILE` does the
# same.

# %%
trace = hwsim.verify(path)
Markdown(
    f"**{trace.header.label}**: {trace.images} images, {trace.header.bits:,} mask bits each, "
    f"{trace.mask_group} channels per bit."
)

# %%
listed = pd.DataFrame([layer.model_dump() for layer in trace.network.layers])
listed["density"] = listed["name"].map(trace.densities())
listed[["name", "in_channels", "out_channels", "kernel_size", "stride", "residual", "density"]]

# %% [markdown]
# The masks over the images that made them:

# %%
pictures = test.images[:4].permute(0, 2, 3, 1).numpy()
plots.mask_overlay(trace, "first", range(4), pictures)

# %% [markdown]
# ## Replay it
#
# The rest is as in [the quickstart](01_quickstart.ipynb).

# %%
comparison = hwsim.compare(hwsim.load_arch("pe16x16"), [trace], batches=[16])
rows = comparison.to_frame().set_index(["label", "scheme"])
rows[
    [
        "cycles_per_image",
        "speedup",
        "ideal_speedup_network",
        "share_realised",
        "energy_uj_per_image",
    ]
]

# %%
layers = hwsim.layers_frame(comparison.results())
plots.cycles_by_cause(layers[layers["scheme"].isin(["dense", "structured-8x"])])

# %%
structured = rows.xs("structured-8x", level="scheme").iloc[0]
Markdown(
    f"The gates leave {structured.density_macs:.0%} of the conditional MACs, which promises "
    f"{structured.ideal_speedup_network:.2f}x for the whole network. `structured-8x` reaches "
    f"{structured.speedup:.2f}x: {structured.share_realised:.0%} of the promised time is saved."
)

# %% [markdown]
# ## Your own model
#
# - Gates may be a module, its path, or a function of a layer's inputs and output. Floats are
#   taken as margins: above zero is a 1, and the margins can be kept for [a sweep of the
#   density](02_energy_vs_sparsity.ipynb).
# - Gates that zero what they mask off: `masked_off="zero"`.
# - What a layer list cannot say (concatenations, depthwise convolutions, ...) is an error that
#   names the layer.
#
# [Traces](../docs/guide/traces.md) has the details, and ten lines of NumPy that write a trace
# without PyTorch.
