"""The compiled model.

``gated_layers`` (and ``channels``) replays layers; ``decoders``, ``window``, ``rounds``,
``passes``, ``run_ahead`` and ``pipeline`` (DMA beside compute) are its parts; ``zero_skipping`` and
``consecutive_skipping`` are what changes where steps without operands are skipped; ``mask_words``
and ``bits`` read masks; ``lanes`` are vectors; ``jit`` compiles.
"""
