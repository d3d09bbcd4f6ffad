"""Many machines: sweeps, searches, comparisons at equal area.

``axes`` (what varies), ``points`` (what is replayed), ``row_key`` (what a row is known by),
``feasibility``, ``rows`` (their columns), ``folder`` (results on disk), ``workers``, ``sweep``,
``search``, ``equal_area`` and ``sizing`` (how many rows of PEs an area buys), ``options``.
"""
