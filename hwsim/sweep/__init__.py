"""Many machines: sweeps, searches, comparisons at equal area.

``axes`` (what varies), ``points`` (what is replayed), ``row_key`` (what a row is known by),
``feasibility``, ``rows`` (their columns), ``folder`` (results on disk), ``workers``, ``sweep``,
``search`` (Optuna) and its ``study``, ``equal_area`` (each scheme's best machines),
``local_search`` (how they are found), ``best_machines`` (their table).
"""
