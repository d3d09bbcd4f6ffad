"""From networks to mask traces.

``recorder`` (any network), ``layer_list`` (its layers, found by running it: ``follower``,
``operators``, ``operator_names``, ``products``, ``writes``, ``gated_layer``), ``self_check``,
``resnet`` (the trainer's own), ``channel_masks``, ``quantised`` (int8 samples).
"""

from hwsim.train.record.layer_list import LayerListError as LayerListError
from hwsim.train.record.layer_list import derive_network as derive_network
from hwsim.train.record.recorder import Recorder as Recorder
