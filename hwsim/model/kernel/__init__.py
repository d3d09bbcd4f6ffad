"""The compiled model.

``gated_layers`` and ``channel_layers`` replay layers; ``decoders``, ``rounds``, ``passes``,
``pipeline`` (DMA beside compute) and ``channel_visits`` are their parts; ``mask_words`` and
``bits`` read masks; ``jit`` compiles.
"""
