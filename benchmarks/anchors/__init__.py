"""Published results of others that the rules have to reproduce: `make anchors`.

One module per anchor; each has ``NAME`` and ``rows(settings)``, a row per figure, and stands in the
list of ``__main__``. ``row`` says what a row is, ``page`` writes docs/evidence/anchors.md. Files of
others stay outside the repository: they are read from a folder, and an anchor whose files are
missing says that it was not run. A miss is a finding; nothing is tuned to make it go away.
"""
