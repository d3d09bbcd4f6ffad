"""The gated networks.

``gating`` (the gated convolution), ``methods`` (CDG, SCDG and rivals), ``fbs``, ``dgc``,
``top_k``, ``models`` (ResNet-18 and its weights file), ``inference``.
"""
