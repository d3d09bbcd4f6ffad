"""A run: traces replayed under schemes, compared, priced, shown.

``simulate`` (one scheme on one trace), ``results``, ``comparison``, ``record`` (all that a run
computes), ``answer`` (sentences), ``tables``, ``provenance``.
``python -m hwsim.run`` is the command.
"""
