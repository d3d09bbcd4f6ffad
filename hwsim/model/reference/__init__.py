"""The model of clocked parts, in SimPy: slow, and as close to hardware as words allow.

``machine`` builds ``parts``, ``feed``, ``operands``, ``decoder`` and ``index_memory`` for each
``tile``; an ``observer`` may watch them.
"""
