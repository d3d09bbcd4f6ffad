"""Networks: their layers and edges, and where they come from.

``layers`` and ``network`` are what the machine runs; ``file`` reads and writes network files;
``resnet18`` makes the networks of the shipped masks.
"""

from hwsim.network.description import Described as Described
from hwsim.network.description import Name as Name
from hwsim.network.description import as_name as as_name
from hwsim.network.description import first_mistake as first_mistake
from hwsim.network.file import load_network as load_network
from hwsim.network.file import save_network as save_network
from hwsim.network.layers import INPUT as INPUT
from hwsim.network.layers import OUTSIDE as OUTSIDE
from hwsim.network.layers import ConvLayer as ConvLayer
from hwsim.network.layers import executed_share as executed_share
from hwsim.network.map_layer import MapLayer as MapLayer
from hwsim.network.network import AnyLayer as AnyLayer
from hwsim.network.network import Network as Network
from hwsim.network.resnet18 import RESNET18 as RESNET18
from hwsim.network.resnet18 import resnet18 as resnet18
