"""From ONNX models to networks; needs the extra ``onnx``.

``graph`` (a file's operators, shapes and constants), ``tensors`` (those that it stores), ``model``
(the reader), ``operators`` (what each makes of the map that a tensor shows), ``einsum``.
"""

from hwsim.network.from_onnx.model import read_onnx as read_onnx
