"""What torch itself counts of a model: the total that layer lists are held to."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def flops_of_torch(model: nn.Module, example: Tensor) -> int:
    """MACs per image of one pass in evaluation mode, by torch's FLOP counter (FLOPs / 2 / batch).

    Attention takes the path that is written out: torch does not count the fused ones of the CPU.
    """
    counter = FlopCounterMode(display=False)
    training, fast = model.training, torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
            model.eval()(example)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        model.train(training)
    flops = counter.get_total_flops()
    whole = 2 * len(example)
    if flops % whole:
        raise ValueError(f"{flops} FLOPs are not those of {len(example)} equal images")
    return flops // whole
