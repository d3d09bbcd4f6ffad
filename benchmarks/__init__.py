"""Speed against peers and limits: `make bench` (docs/evidence/benchmarks.md)."""
