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
# # 1. Quickstart: what "2x fewer FLOPs" becomes
#
# A network with dynamic gates skips most of each convolution. It decides that anew for every
# image, so its FLOPs fall by a factor of two and more. hwsim replays the decisions, recorded as
# masks, on a model of an accelerator, cycle by cycle. This notebook loads a machine and two
# traces of masks, and looks at what is left of the promise.

# %%
# %matplotlib inline
import pandas as pd
from IPython.display import Markdown

import hwsim
from hwsim import plots

pd.options.display.float_format = "{:z,.2f}".format

# %% [markdown]
# ## The machine
#
# One YAML file describes it. `pe16x16` is the shipped one: an array of multipliers, banks of
# activation memory, decoders that read the masks, and DRAM.

# %%
arch = hwsim.load_arch("pe16x16")
Markdown(
    f"`{arch.name}`: {arch.array.rows} x {arch.array.columns} PEs (output pixels x output "
    f"channels) at {arch.clock_mhz:g} MHz, {arch.activation.banks} activation banks, "
    f"DRAM of {arch.dram.bandwidth_gb_per_s} GB/s."
)

# %% [markdown]
# ## The masks
#
# A trace holds the masks of one network on real images. Two are shipped, both of ResNet-18:
# **CDG** decides for each output activation by itself, **SCDG** for eight neighbouring channels
# at once.

# %%
cdg, scdg = hwsim.open_traces()
Markdown(f"{cdg.images} images each, {cdg.header.dataset}. {cdg.header.training['data']}.")

# %% [markdown]
# How were these networks trained? Shortly. `epochs_total` says how long, `knn_percent` what their
# features are worth, and `untrained_knn_percent` what the same network reaches without training.
# Their masks are those of networks that have learned something, not of converged ones.

# %%
training = pd.DataFrame({"CDG": cdg.header.training, "SCDG": scdg.header.training})
training.loc[["epochs_total", "seed", "knn_percent", "untrained_knn_percent"]]

# %% [markdown]
# Where does the network compute? Each panel is one image. A bright pixel is one where most gates
# of the layer are open. (The CIFAR-10 images themselves are not part of this project.)

# %%
plots.mask_overlay(scdg, "layer1.1.conv2")

# %% [markdown]
# ## One run
#
# A scheme says what hardware does with a mask. `structured-8x` lets eight columns of the array
# share a list of pixels. The result has a row per layer. Its figures are totals over all images.

# %%
result = hwsim.simulate(arch, scdg, scheme="structured-8x")
result.to_frame()[
    ["layer", "gated", "density", "cycles", "utilisation", "bank_stall_cycles", "energy_pj"]
]

# %% [markdown]
# ## All schemes side by side
#
# `compare` replays each trace under every scheme that fits it. Batch 16 is about throughput.
#
# - `dense` computes everything.
# - `clock-gated` visits every pixel, but switches masked-off multipliers off.
# - `unstructured` gives each column its own list of pixels.
# - `structured-8x` and `lockstep-8` share a list among eight columns; lockstep takes masks that
#   were not made for it.
#
# All of them switch multipliers off where an activation is zero, so each trace has a dense row.
#
# *Ideal* is the speed-up that the MACs of the whole network promise. *Share realised* is the part
# of the promised time that is really saved. Energies are estimates from published prices per
# action.

# %%
comparison = hwsim.compare(arch, [cdg, scdg], batches=[16])
rows = comparison.to_frame().set_index(["method", "scheme"])
rows[
    [
        "cycles_per_image",
        "speedup",
        "ideal_speedup_network",
        "share_realised",
        "utilisation",
        "energy_uj_per_image",
        "area_mm2",
    ]
]

# %%
fine, coarse = rows.loc[("cdg", "unstructured")], rows.loc[("scdg", "structured-8x")]
Markdown(
    f"- CDG's FLOPs promise {fine.ideal_speedup_network:.2f}x. Hardware that gathers pixels for "
    f"every column reaches {fine.speedup:.2f}x: **{fine.share_realised:.0%}** of the promised "
    f"time is saved.\n"
    f"- SCDG's promise {coarse.ideal_speedup_network:.2f}x. Hardware in groups of eight columns "
    f"reaches {coarse.speedup:.2f}x: **{coarse.share_realised:.0%}** is saved."
)

# %% [markdown]
# The same as a picture: to the right what is promised, upwards what is realised. The upper grey
# line is the promise kept.

# %%
plots.realised_speedup(comparison.to_frame())

# %% [markdown]
# ## Where the cycles go
#
# The base path is always computed. The conditional path is what the masks thin out. The rest are
# stalls: two columns want the same memory bank, a decoder has not found enough pixels yet, DRAM
# is not there.

# %%
layers = hwsim.layers_frame(comparison.distinct().results())
plots.cycles_by_cause(layers[layers["scheme"].isin(["dense", "unstructured", "structured-8x"])])

# %%
cycles = layers.groupby(["method", "scheme"])[["bank_stall_cycles", "cycles"]].sum()
stalled = cycles["bank_stall_cycles"] / cycles["cycles"]
Markdown(
    f"With CDG masks on `unstructured` hardware bank stalls take "
    f"{stalled['cdg', 'unstructured']:.0%} of the cycles; with SCDG masks on `structured-8x` they "
    f"take {stalled['scdg', 'structured-8x']:.0%}."
)

# %% [markdown]
# ## Further
#
# - [2. Energy against sparsity](02_energy_vs_sparsity.ipynb): when does skipping pay?
# - [3. Design space](03_design_space.ipynb): which machine should it be?
# - [4. From a PyTorch model](04_from_pytorch.ipynb): your own network.
# - [Passes](../docs/model/passes.md) says what a cycle is, [energy](../docs/model/energy.md)
#   what an action costs.
