"""Speed against peers and limits: `make bench` (docs/benchmarks.md)."""
