"""A layer on the reference, cycle by cycle: who did what, and when.

``recorder`` watches the reference and makes ``slices`` of what it is told; ``observed`` runs one
layer of one batch so; ``trace_events`` writes what Perfetto opens; the command is ``__main__``.
"""
