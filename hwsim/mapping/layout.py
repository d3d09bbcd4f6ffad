"""How tensors lie in the activation buffer (docs/model/bank_conflicts.md, readings 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.arch.config import ArchConfig
from hwsim.network import ConvLayer, Network


@dataclass(frozen=True)
class Layout:
    """How a tensor lies in the buffer: ``words`` planes of phases x n x height x width words."""

    height: int
    width: int
    phases: int
    words: int

    def phase_words(self, images: int) -> int:
        """Words of one phase of a plane."""
        return images * self.height * self.width

    def pitch(self, images: int, arch: ArchConfig) -> int:
        """Words from one plane to the next, padded until pitch mod B = B div ceil(C/A)."""
        return pitch(self.phases * self.phase_words(images), arch)

    def stored_bytes(self, images: int, arch: ArchConfig) -> int:
        return self.words * self.pitch(images, arch) * arch.activation.word_channels


def layout_of_input(layer: ConvLayer, arch: ArchConfig) -> Layout:
    """The layout in which ``layer`` reads its input."""
    reach = (layer.kernel_size - 1) // layer.stride
    group_words = -(-(layer.in_channels // layer.groups) // arch.activation.word_channels)
    return Layout(
        layer.out_height + reach,
        layer.out_width + reach,
        layer.stride**2,
        layer.groups * group_words,
    )


def tensor_layouts(network: Network, arch: ArchConfig, images: int) -> dict[str, Layout]:
    """Each tensor's one layout: of its consumer with the largest Hq, then the most stored bytes."""

    def precedence(layout: Layout) -> tuple[int, int]:
        return layout.height, layout.stored_bytes(images, arch)

    layouts: dict[str, Layout] = {}
    for layer in network.layers:
        wanted = [(layer.input, layout_of_input(layer, arch))]
        if layer.residual is not None:
            words = -(-layer.out_channels // arch.activation.word_channels)
            wanted.append((layer.residual, Layout(layer.out_height, layer.out_width, 1, words)))
        for tensor, layout in wanted:
            have = layouts.get(tensor)
            if have is None or precedence(layout) > precedence(have):
                layouts[tensor] = layout
    return layouts


def pointer_layout(layer: ConvLayer, tensor: Layout, arch: ArchConfig) -> Layout:
    """The layout whose Hq and Wq give ``layer`` its addresses (docs/model, reading 3)."""
    own = layout_of_input(layer, arch)
    return tensor if tensor.phases == own.phases and tensor.width >= own.width else own


def pitch(plane_words: int, arch: ArchConfig) -> int:
    """``plane_words``, padded until pitch mod B = B div ceil(C/A) (reading 4)."""
    banks, word = arch.activation.banks, arch.activation.word_channels
    wanted = banks // -(-arch.array.columns // word)
    return plane_words + (wanted - plane_words) % banks


def plane_bytes(plane_words: int, arch: ArchConfig) -> int:
    """Bytes of one plane of so many words."""
    return pitch(plane_words, arch) * arch.activation.word_channels
