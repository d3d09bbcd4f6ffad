"""The machine and its schemes.

``config`` (what a machine is), ``load`` (from YAML), ``schemes`` (how masks meet hardware).
"""
