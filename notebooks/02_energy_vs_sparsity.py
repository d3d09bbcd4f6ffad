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
# # 2. Energy against sparsity: when does skipping pay?
#
# Skipping a multiplication saves its energy. Finding out which to skip costs some: pointers,
# multiplexers, lists of pixels, partial sums that are read once more. So a gated machine needs a
# certain sparsity before it takes less energy than the dense one. This notebook finds it.
#
# The networks are those of [the quickstart](01_quickstart.ipynb): ResNet-18 on CIFAR-10 images,
# trained for under five epochs. All energies are estimates.

# %%
# %matplotlib inline
import pandas as pd
from IPython.display import Markdown

import hwsim
from hwsim import plots
from hwsim.analysis import break_even

pd.options.display.float_format = "{:z,.2f}".format

arch = hwsim.load_arch("pe16x16")
cdg, scdg = hwsim.open_traces()

# %% [markdown]
# ## One network at many sparsities
#
# The traces also hold how far each decision was from its threshold, for a part of the images.
# Moving all thresholds by one number makes the same network sparser or denser. That is
# approximate: the layers behind do not react to the change. Figures of moved thresholds say so.

# %%
sweep = hwsim.density_sweep(arch, [cdg, scdg])
Markdown(
    f"{len(sweep)} runs of {sweep['images'].max()} images, MAC-weighted densities of the "
    f"conditional path from {sweep['density_macs'].min():.2f} to {sweep['density_macs'].max():.2f}."
)

# %%
plots.energy_vs_sparsity(sweep)

# %% [markdown]
# ## Break-even
#
# Where a line crosses that of another machine, both take the same energy; at higher sparsity
# skipping wins. There are two machines to beat: the dense one, and the clock-gated one, which
# switches off the multipliers that the mask gates and skips nothing. The second is the harder
# opponent. A pair that is missing here does not cross in the range.

# %%
crossings = pd.DataFrame(break_even(sweep) + break_even(sweep, "clock-gated"))
crossings.rename(columns={"value": "energy_uj_per_image"})

# %%
at = crossings.set_index(["trace", "scheme", "against"])["sparsity"]
Markdown(
    f"Unstructured gating with CDG masks has to skip "
    f"{at[cdg.name, 'unstructured', 'dense']:.0%} of the conditional MACs before it takes less "
    f"energy than the dense machine. Structured gating with SCDG masks has to skip "
    f"{at[scdg.name, 'structured-8x', 'dense']:.0%}, and "
    f"{at[scdg.name, 'structured-8x', 'clock-gated']:.0%} to beat the clock-gated one."
)

# %% [markdown]
# ## What the energy is spent on
#
# Now the networks as they were recorded, thresholds unmoved, with all of their images. The
# hatched orange part is the *operand network*: pointers, multiplexers and wires that bring each
# column its own activations. Its price is an assumption, the largest one of the model.

# %%
comparison = hwsim.compare(arch, [cdg, scdg], batches=[16])
plots.energy_breakdown(comparison.to_frame())

# %% [markdown]
# The 8x fewer index bits of the structured masks are in there too, as "index memory, decoder", but
# too small to be seen. In numbers (`index_nj` is in nJ, a thousandth of the others):

# %%
energy = comparison.to_frame().set_index(["method", "scheme"])
energy = energy.assign(index_nj=1000 * energy["index_uj"])
energy[["index_nj", "operand_network_uj", "dram_uj", "energy_uj_per_image"]]

# %% [markdown]
# ## Other prices
#
# Does a conclusion hang on one table of prices? The counts of a run stay the same under any of
# them, so they can be priced anew at once:
#
# - **table**: `cacti22` (22 nm), `horowitz45` (45 nm) or `gates45` (45 nm, measured from gates);
# - **MAC** (`mac_scale`): a quarter, half or twice its price;
# - **operand network**: free (0), as assumed (1), or at four times that (4);
# - **DRAM**: 4, 8 or 20 pJ/bit;
# - **gated multiplier** (`gated_mac_share`): takes nothing (0) or, its clock on, 28 % of a MAC;
# - **zeros run** (`zeros_run`): multiplications by zero are not switched off, in any scheme.
#
# Energy per image in µJ (the dense machine's on the activations of each network):

# %%
prices = comparison.other_prices().droplevel(["trace", "batch"])
prices

# %% [markdown]
# And as a share of what the dense machine takes under the same prices. Above 1, gating costs more
# than it saves.

# %%
dense = prices.xs("dense", level="scheme")
prices.div(dense, level="label")

# %%
cheapest = prices.idxmin()
unstructured = prices.loc[("cdg", "unstructured")] < dense.loc["cdg"]
Markdown(
    "Least energy: "
    + ", ".join(
        f"{n} of {len(cheapest)} prices: **{scheme}** with {label} masks"
        for (label, scheme), n in cheapest.value_counts().items()
    )
    + ". Unstructured gating with CDG masks takes less than the dense machine under "
    f"{unstructured.sum()} of {len(unstructured)}."
)
