"""From networks to mask traces.

``recorder`` (any network), ``layer_list`` (its layers, found by running it), ``self_check``,
``resnet`` (the trainer's own), ``channel_masks``, ``quantised`` (int8 samples).
"""

from hwsim.train.record.recorder import Recorder as Recorder
