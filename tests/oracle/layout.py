"""How tensors lie in the activation buffer (docs/model/bank_conflicts.md; readings 3, 4, 7).

Other shapes than squares and words of grouped convolutions: docs/model/layers.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.arch.config import ArchConfig
from hwsim.network import AnyLayer, ConvLayer, MapLayer, Network

Pixel = tuple[int, int, int]
"""(image within the batch, row, column) of an output."""

Row = tuple[int, int]
"""(image within the batch, row) of an input."""


@dataclass(frozen=True)
class Layout:
    """Planes of words: ``hq`` x ``wq`` words per image and phase, ``words`` planes of channels.

    ``strides`` (down, across) split a plane into phases. ``pitch``: words from one plane to the
    next.
    """

    hq: int
    wq: int
    strides: tuple[int, int]
    words: int
    images: int
    pitch: int

    @property
    def phases(self) -> int:
        return self.strides[0] * self.strides[1]

    @property
    def phase_words(self) -> int:
        """Words of one phase of all images: from a word to that of the next phase."""
        return self.images * self.hq * self.wq

    def address(self, pixel: Pixel) -> int:
        """Word of a plane that the pointer of this output pixel starts from."""
        image, y, x = pixel
        return (image * self.hq + y) * self.wq + x

    def stored_bytes(self, arch: ArchConfig) -> int:
        """Bytes of buffer that the tensor takes."""
        return self.words * self.pitch * arch.activation.word_channels


def laid_out(
    hq: int, wq: int, strides: tuple[int, int], words: int, arch: ArchConfig, images: int
) -> Layout:
    """Planes at the pitch that a machine has in its own shape."""
    plane = strides[0] * strides[1] * images * hq * wq
    return Layout(hq, wq, strides, words, images, pitch=padded(arch, plane))


def stored_bytes(arch: ArchConfig, words: int, plane: int) -> int:
    """Bytes of ``words`` planes of ``plane`` words each, the pitch padded for the banks."""
    return words * padded(arch, plane) * arch.activation.word_channels


def padded(arch: ArchConfig, plane: int) -> int:
    """The pitch of planes of ``plane`` words (reading 4); ``arch``: in its own shape.

    The output stage finishes one pixel of all columns per cycle: its words, C channels of them,
    must go to different banks.
    """
    banks = arch.activation.banks
    finished_words = ceil_div(arch.array.columns, arch.activation.word_channels)
    pitch = plane
    while pitch % banks != (banks // finished_words) % banks:
        pitch += 1
    return pitch


def ceil_div(amount: int, size: int) -> int:
    """How many pieces of ``size`` hold ``amount``."""
    pieces, rest = divmod(amount, size)
    return pieces + 1 if rest else pieces


def reaches(layer: ConvLayer) -> tuple[int, int]:
    """Words (down, across) from the first tap's to the last one's, in their phases."""
    (high, wide), (down, across), (step_y, step_x) = layer.kernel, layer.dilations, layer.strides
    return (high - 1) * down // step_y, (wide - 1) * across // step_x


Word = tuple[int, range]
"""A channel word: its plane, and the channels in it that one block has."""


def words_by_block(layer: ConvLayer, arch: ArchConfig) -> list[list[Word]]:
    """The words of every block of input channels, a gating group of a group of the convolution.

    Small groups share a word if it holds several of them whole and no base path parts them.
    """
    size, extent = arch.activation.word_channels, layer.in_channels // layer.blocks
    blocks = [range(first, first + extent) for first in range(0, layer.in_channels, extent)]
    if layer.groups == 1 and extent < size and size % extent == 0:
        return [[(block[0] // size, block)] for block in blocks]
    planes, found = 0, []
    for block in blocks:
        words = [block[at : at + size] for at in range(0, extent, size)]
        found.append([(planes + at, word) for at, word in enumerate(words)])
        planes += len(words)
    return found


def conv_layout(layer: ConvLayer, arch: ArchConfig, images: int = 1) -> Layout:
    """The layout a convolution wants of the channels that it reads."""
    planes = {plane for words in words_by_block(layer, arch) for plane, _ in words}
    return conv_planes(layer, len(planes), arch, images)


def conv_planes(layer: ConvLayer, words: int, arch: ArchConfig, images: int) -> Layout:
    """Planes through which a convolution's pointers step."""
    down, across = reaches(layer)
    hq, wq = layer.out_height + down, layer.out_width + across
    return laid_out(hq, wq, layer.strides, words, arch, images)


def flat_layout(channels: int, height: int, width: int, arch: ArchConfig, images: int) -> Layout:
    """What is read pixel by pixel, without padding: what is added, a map layer's input, a scale."""
    words = ceil_div(channels, arch.activation.word_channels)
    return laid_out(height, width, (1, 1), words, arch, images)


def wanted_layouts(
    network: Network, layer: AnyLayer, tensor: str, arch: ArchConfig, images: int
) -> list[Layout]:
    """The layouts that a layer wants of a tensor, one for every way in which it reads it."""
    channels, height, width = network.shapes[tensor]
    wanted = []
    for name in layer.inputs:
        if name != tensor:
            continue
        if isinstance(layer, MapLayer):
            size = layer.in_height, layer.in_width
            wanted.append(flat_layout(channels, *size, arch, images))
        elif len(layer.inputs) > 1:
            words = ceil_div(channels, arch.activation.word_channels)
            wanted.append(conv_planes(layer, words, arch, images))
        else:
            wanted.append(conv_layout(layer, arch, images))
    if layer.residual == tensor:
        size = layer.out_height, layer.out_width
        wanted.append(flat_layout(layer.out_channels, *size, arch, images))
    if layer.aside == tensor:
        wanted.append(flat_layout(channels, height, width, arch, images))
    return wanted


def tensor_layout(network: Network, tensor: str, arch: ArchConfig, images: int) -> Layout:
    """The one layout of a tensor: its consumer's with the largest Hq, then the most bytes."""
    wanted: list[Layout] = []
    for layer in network.layers:
        wanted += wanted_layouts(network, layer, tensor, arch, images)
    best = wanted[0]
    for layout in wanted[1:]:
        taller = layout.hq > best.hq
        as_tall = layout.hq == best.hq
        if taller or (as_tall and layout.stored_bytes(arch) > best.stored_bytes(arch)):
            best = layout
    return best


def pointer_layout(network: Network, layer: ConvLayer, arch: ArchConfig, images: int) -> Layout:
    """The layout whose addresses a layer's pointers step through (reading 3).

    That of the tensor, if its phases are the layer's and its rows hold the layer's; else the
    layer's own, as if the tensor lay so. Of several tensors pointers see one, the layer's own.
    """
    own = conv_layout(layer, arch, images)
    if len(layer.inputs) > 1:
        return own
    there = tensor_layout(network, layer.inputs[0], arch, images)
    return there if there.strides == own.strides and there.wq >= own.wq else own


def flattened(layer: AnyLayer, images: int) -> list[Pixel]:
    """Output pixels of the batch in (image, row, column) order."""
    return [
        (image, y, x)
        for image in range(images)
        for y in range(layer.out_height)
        for x in range(layer.out_width)
    ]


def touched_rows(layer: AnyLayer, pixels: list[Pixel]) -> set[Row]:
    """Input rows that these output pixels need, clipped to the map (reading 6)."""
    if isinstance(layer, MapLayer):
        return {(image, row) for image, y, _ in pixels for row in shrunk_rows(layer, y)}
    rows: set[Row] = set()
    for image, y, _ in pixels:
        for ky in range(layer.kernel[0]):
            row = layer.strides[0] * y - layer.edges[0] + layer.dilations[0] * ky
            if 0 <= row < layer.in_height:
                rows.add((image, row))
    return rows


def shrunk_rows(layer: MapLayer, y: int) -> list[int]:
    """Input rows that share some of their height with an output row, both maps equally tall."""
    return [
        row
        for row in range(layer.in_height)
        if row * layer.out_height < (y + 1) * layer.in_height
        and (row + 1) * layer.out_height > y * layer.in_height
    ]


def touched_columns(layer: ConvLayer, pixels: list[Pixel]) -> set[int]:
    """Input columns that a tap of these output pixels touches, clipped to the map."""
    columns = {
        layer.strides[1] * x - layer.edges[1] + layer.dilations[1] * kx
        for _, _, x in pixels
        for kx in range(layer.kernel[1])
    }
    return columns & set(range(layer.in_width))


def footprint_bytes(layer: ConvLayer, arch: ArchConfig, pixels: list[Pixel]) -> int:
    """Bytes of buffer for the input of one tile of whole output rows (reading 7)."""
    own = conv_layout(layer, arch)
    padded_rows = [image * own.hq + y for image, y, _ in pixels]
    rows = max(padded_rows) - min(padded_rows) + 1 + reaches(layer)[0]
    return stored_bytes(arch, own.words, own.phases * rows * own.wq)


def segment_bytes(layer: ConvLayer, arch: ArchConfig, pixels: int) -> int:
    """Bytes of buffer for the input of a part of a row, of so many pixels."""
    own = conv_layout(layer, arch)
    down, across = reaches(layer)
    return stored_bytes(arch, own.words, own.phases * (down + 1) * (pixels + across))
