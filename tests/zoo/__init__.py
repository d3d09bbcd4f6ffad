"""Small networks in the style of the published families, with random weights. Needs torch."""
