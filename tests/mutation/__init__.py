"""The campaign behind `make mutate`: small changes, one at a time, each of which is to be seen."""
