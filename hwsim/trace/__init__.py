"""Mask traces: what a network's gates decided for real images.

``header``, ``hdf5`` (the file), ``mask_trace`` (read in slices), ``files`` (find, open, verify,
write), ``margins`` (shifted thresholds), ``int8_sample``, ``packing`` (bits), ``synthetic``,
``statistics``, ``channel_order``, ``active_channels``. ``python -m hwsim.trace`` shows and checks.
"""
