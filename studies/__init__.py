"""One-off experiments: each answers one question, with the package as it is."""
