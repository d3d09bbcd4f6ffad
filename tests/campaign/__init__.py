"""The campaign behind `make verify`: random cases, models compared on them, what they covered."""
