"""The campaign behind docs/results.md: its runs, what was kept of them, and the page's tables."""
