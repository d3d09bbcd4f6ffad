"""Prices and areas.

``table`` (an energy table), ``hardware`` (what a scheme builds), ``area``, ``prices`` (pJ of each
counter). ``python -m hwsim.energy`` prints them.
"""
