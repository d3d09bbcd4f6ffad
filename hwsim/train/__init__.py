"""Training of gated networks by SimCLR, and the recording of their masks. Needs torch."""
