"""How a layer lies on the machine.

``layout`` (tensors in the buffers), ``tiles``, ``residency`` (what stays on chip), ``channels``
(layers that select whole channels).
"""
