"""The layer list of any PyTorch model, by following one forward pass.

``follower`` sees every operator that torch executes; ``operators``, ``products`` and ``writes``
tell a builder of networks what each makes; ``derivation`` holds the total to torch's.
``gated_layer``: modules that are one gated layer; ``command``: ``hwsim network derive``.
"""

from hwsim.train.derive.derivation import LayerListError as LayerListError
from hwsim.train.derive.derivation import derive_network as derive_network
