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
# # 3. Design space: which machine should it be?
#
# How wide should a lane group be, how many banks does the activation memory need, which shape
# should the array have? This notebook replays the same masks on many machines and looks for those
# that no other beats. The masks are the shipped SCDG ones: ResNet-18, trained on CIFAR-10 for
# under five epochs.

# %%
# %matplotlib inline
import tempfile

import pandas as pd
from IPython.display import Markdown

import hwsim
from hwsim import plots
from hwsim.sweep.equal_area import Setup, run_equal_area

pd.options.display.float_format = "{:z,.2f}".format

# %% [markdown]
# ## The axes
#
# Any key of the machine's YAML file can be one. The baseline is the shipped `pe16x16`. A **lane
# group** is a number of columns that share one list of pixels; 1 is fully unstructured gathering.

# %%
axes = {
    "index.lane_group": [1, 2, 4, 8],
    "activation.banks": [8, 16, 32],
    "array.rows": [8, 16, 32],
    "array.columns": [8, 16, 32],
}
arch = hwsim.load_arch("pe16x16")
_, scdg = hwsim.open_traces()

# %% [markdown]
# ## The sweep
#
# Results go into a folder, here a temporary one. In a folder that stays, a sweep that was
# interrupted goes on where it was, and a point that is there is never run again. Few images are
# enough for a first look: one batch.

# %%
folder = tempfile.TemporaryDirectory()
rows = hwsim.run_sweep(
    arch, axes, folder.name, traces=[scdg.path], schemes=["structured"], images=16, workers=1
)
Markdown(f"{len(rows)} machines, {rows['images'].max()} images each.")

# %% [markdown]
# A row per machine. The fastest five:

# %%
figures = ["cycles_per_image", "speedup", "energy_uj_per_image", "area_mm2", "utilisation"]
rows.nsmallest(5, "cycles_per_image")[[*axes, *figures]]

# %% [markdown]
# *Speed-up* is over the dense run of the **same** machine: a large array has few cycles, but need
# not gain much from gating.
#
# ## The Pareto front
#
# A machine is on the front if none is at least as good in both metrics and better in one. The
# ring marks the baseline. Energy and area are estimates.

# %%
baseline = (rows[list(axes)] == [8, 16, 16, 16]).all(axis=1)
plots.pareto(rows, "cycles_per_image", "energy_uj_per_image", baseline)

# %%
plots.pareto(rows, "cycles_per_image", "area_mm2", baseline)

# %% [markdown]
# ## One axis at a time
#
# Everything else as in the baseline. The lane group does not move the cycles of *these*
# masks, because they decide for eight channels at once. It moves what the hardware costs: pointers,
# line registers and a decoder per group.

# %%
start = rows[(rows["array.rows"] == 16) & (rows["array.columns"] == 16)]
start.pivot_table(
    index="index.lane_group",
    columns="activation.banks",
    values=["cycles_per_image", "energy_uj_per_image", "area_mm2"],
)

# %% [markdown]
# And arrays of as many PEs as the baseline has, in other shapes. A tall array computes more
# pixels at once, a wide one more channels.

# %%
alike = rows[
    (rows["array.rows"] * rows["array.columns"] == 256)
    & (rows["index.lane_group"] == 8)
    & (rows["activation.banks"] == 16)
]
alike[["array.rows", "array.columns", *figures]]

# %% [markdown]
# ## A search
#
# More axes make too many machines for a grid. A search lets Optuna propose them. It weighs
# energy, latency (of a batch) and area against each other, and returns the front and the
# baseline.

# %%
searched = tempfile.TemporaryDirectory()
front = hwsim.run_search(
    arch,
    axes | {"activation.word_channels": [2, 4, 8], "index.word_bits": [16, 32, 64]},
    searched.name,
    trace=scdg.path,
    scheme="structured",
    trials=48,
    images=16,
    workers=1,
)
front[
    [
        "baseline",
        "on_front",
        *axes,
        "activation.word_channels",
        "index.word_bits",
        "energy_uj_per_image",
        "latency_us",
        "area_mm2",
    ]
]

# %%
own = front[front["baseline"]].iloc[0]
less = front[["energy_uj_per_image", "latency_us"]] < own[["energy_uj_per_image", "latency_us"]]
Markdown(
    f"No other machine that was tried beats these {front['on_front'].sum()}. Both less energy and "
    f"less time than the baseline: {less.all(axis=1).sum()}. Of these, a smaller area as well: "
    f"{(less.all(axis=1) & (front['area_mm2'] < own['area_mm2'])).sum()}."
)

# %% [markdown]
# ## Each scheme on its best machine
#
# One machine suits one scheme. For a fair comparison every scheme gets the same area and the same
# bytes a cycle from its banks, and chooses. `hwsim equal-area` does this for all axes; here, to be
# quick, with a few values, four images and the SCDG masks alone.

# %%
setup = Setup(
    images=4,
    starts=1,
    schemes=["dense", "unstructured", "structured"],
    axes={
        "array.columns": [16, 32],
        "array.feed": ["broadcast"],
        "array.zero_skipping": ["none"],
        "partial_sums.entries": [4096, 8192],
        "index.window": [0, 64],
        "index.decoders": ["private"],
        "index.indices_per_cycle": [1],
        "index.lane_group": [8],
    },
)
fronts = run_equal_area(arch, searched.name, setup, traces=[scdg.path], workers=1)
plots.fronts(fronts)

# %%
best = fronts[fronts["best"] != ""]
best[["family", "best", "array.rows", "array.columns", "activation.word_channels", *figures]]

# %% [markdown]
# A front is one of the machines that were tried, for one network and one set of prices. The other
# masks, or [other prices](02_energy_vs_sparsity.ipynb), may draw another. `hwsim sweep`
# and `hwsim search` do the same from the command line, on all cores or a cluster
# ([sweeps](../docs/guide/sweeps.md)).
