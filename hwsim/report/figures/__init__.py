"""What a page shows, as plain data: Plotly draws charts, a template the machine.

``chart`` (what charts share), ``parts`` (what a page is made of), ``priced`` (runs under each
energy table), ``energy``, ``layers``, ``masks``, ``machine``; ``points`` and ``sweeps`` (of a
sweep's folder).
"""
