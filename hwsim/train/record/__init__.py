"""From networks to mask traces.

``recorder`` (any network; ``options``, ``watch``, ``batch``, ``masks``, ``input_bits``,
``zero_operands``), ``self_check``, ``resnet`` (the trainer's own), ``channel_masks``, ``quantised``
(int8 samples). ``hwsim.train.derive`` finds the layer list.
"""

from hwsim.train.record.recorder import Recorder as Recorder
