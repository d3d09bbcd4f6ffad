"""What the base path and the conditional path of a gated layer respond to."""
