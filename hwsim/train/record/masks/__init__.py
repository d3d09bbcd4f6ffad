"""Masks as gates give them: where they come from, what their shapes say, how a trace keeps them."""
