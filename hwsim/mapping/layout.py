"""How tensors lie in the activation buffer (docs/model/bank_conflicts.md, readings 3 and 4).

Convolutions of any shape and groups: docs/model/layers.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from hwsim.arch.config import ArchConfig
from hwsim.network import AnyLayer, ConvLayer, MapLayer, Network


@dataclass(frozen=True)
class Layout:
    """How a tensor lies in the buffer: ``words`` planes of phases x n x height x width words.

    ``strides``: those by which it is split into phases, (height, width).
    """

    height: int
    width: int
    strides: tuple[int, int]
    words: int

    @property
    def phases(self) -> int:
        return self.strides[0] * self.strides[1]

    def phase_words(self, images: int) -> int:
        """Words of one phase of a plane."""
        return images * self.height * self.width

    def pitch(self, images: int, arch: ArchConfig) -> int:
        """Words from one plane to the next, padded until pitch mod B = B div ceil(C/A)."""
        return pitch(self.phases * self.phase_words(images), arch)

    def stored_bytes(self, images: int, arch: ArchConfig) -> int:
        return self.words * self.pitch(images, arch) * arch.activation.word_channels


def layout_of_input(layer: AnyLayer, arch: ArchConfig) -> Layout:
    """The layout in which ``layer`` reads its input."""
    of = layer if isinstance(layer, MapLayer) else layer.unnamed
    return _layout_of_input(of, arch.activation.word_channels)


@lru_cache(maxsize=2048)
def _layout_of_input(layer: AnyLayer, word: int) -> Layout:
    if isinstance(layer, MapLayer):
        return _plain(layer.in_channels, layer.in_height, layer.in_width, word)
    down, right = (r // s for r, s in zip(layer.reach, layer.strides, strict=True))
    words = input_words(layer, word)
    return Layout(layer.out_height + down, layer.out_width + right, layer.strides, words)


def shares_words(layer: ConvLayer, word: int) -> bool:
    """Whether several groups of a convolution lie in one word of ``word`` channels."""
    return layer.conv_groups > 1 and layer.groups == 1 and word % layer.block_channels == 0


def block_words(layer: ConvLayer, word: int) -> int:
    """Words in which the input channels of a block lie."""
    return -(-layer.block_channels // word)


def first_word(layer: ConvLayer, word: int, block: int) -> int:
    """The word in which a block of input channels begins."""
    if shares_words(layer, word):
        return block * layer.block_channels // word
    return block * block_words(layer, word)


def input_words(layer: ConvLayer, word: int) -> int:
    """Channel words of the layer's input."""
    if shares_words(layer, word):
        return -(-layer.in_channels // word)
    return layer.blocks * block_words(layer, word)


def _plain(channels: int, height: int, width: int, word: int) -> Layout:
    """Of a tensor that no pointer reads."""
    return Layout(height, width, (1, 1), -(-channels // word))


def tensor_layouts(network: Network, arch: ArchConfig, images: int) -> dict[str, Layout]:
    """Each tensor's one layout: of its consumer with the largest Hq, then the most stored bytes.

    What nobody reads has none.
    """
    word = arch.activation.word_channels

    def precedence(layout: Layout) -> tuple[int, int]:
        return layout.height, layout.stored_bytes(images, arch)

    layouts: dict[str, Layout] = {}
    for layer in network.layers:
        own = layout_of_input(layer, arch)
        wanted = [(tensor, own) for tensor in layer.inputs]
        if len(layer.inputs) > 1:
            parts = ((tensor, -(-network.shapes[tensor][0] // word)) for tensor in layer.inputs)
            wanted = [(tensor, replace(own, words=words)) for tensor, words in parts]
        if layer.residual is not None:
            of_sum = layer.out_channels, layer.out_height, layer.out_width
            wanted.append((layer.residual, _plain(*of_sum, word)))
        if layer.aside is not None:
            wanted.append((layer.aside, _plain(*network.shapes[layer.aside], word)))
        for tensor, layout in wanted:
            have = layouts.get(tensor)
            if have is None or precedence(layout) > precedence(have):
                layouts[tensor] = layout
    return layouts


def pointer_layout(layer: AnyLayer, tensor: Layout, arch: ArchConfig) -> Layout:
    """The layout whose Hq and Wq give ``layer`` its addresses (docs/model, reading 3)."""
    own = layout_of_input(layer, arch)
    if len(layer.inputs) > 1:
        return own
    return tensor if tensor.strides == own.strides and tensor.width >= own.width else own


def pitch(plane_words: int, arch: ArchConfig) -> int:
    """``plane_words``, padded until pitch mod B = B div ceil(C/A) (reading 4)."""
    banks, word = arch.activation.banks, arch.activation.word_channels
    wanted = banks // -(-arch.array.columns // word)
    return plane_words + (wanted - plane_words) % banks


def plane_bytes(plane_words: int, arch: ArchConfig) -> int:
    """Bytes of one plane of so many words."""
    return pitch(plane_words, arch) * arch.activation.word_channels
