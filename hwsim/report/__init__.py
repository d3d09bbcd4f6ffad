"""One page to send: a run, a sweep or a network as self-contained HTML (docs/guide/report.md).

``inputs`` (what was given), ``folders`` (a run's folder, checked), ``runs`` and ``sweeps`` (a part
of the page each), ``tables``, ``figures/`` (charts and the drawing of the machine), ``page`` (the
HTML, from ``templates/``).
"""
