"""docs/evidence/results.md: the runs behind it, what they left, the page made of it."""
