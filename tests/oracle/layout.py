"""How tensors lie in the activation buffer (docs/model/bank_conflicts.md; readings 3, 4, 7)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.arch.config import ArchConfig
from hwsim.network import ConvLayer, Network

Pixel = tuple[int, int, int]
"""(image within the batch, row, column) of an output."""

Row = tuple[int, int]
"""(image within the batch, row) of an input."""


@dataclass(frozen=True)
class Layout:
    """Planes of words: ``hq`` x ``wq`` words per image and phase, ``words`` planes of channels.

    ``pitch``: words from one plane to the next.
    """

    hq: int
    wq: int
    phases: int
    words: int
    images: int
    pitch: int

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


def laid_out(hq: int, wq: int, phases: int, words: int, arch: ArchConfig, images: int) -> Layout:
    """Planes at the pitch that a machine has in its own shape."""
    return Layout(hq, wq, phases, words, images, pitch=padded(arch, phases * images * hq * wq))


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


def conv_layout(layer: ConvLayer, arch: ArchConfig, images: int = 1) -> Layout:
    """The layout a convolution wants of its input: each gating group starts on a word."""
    reach = (layer.kernel_size - 1) // layer.stride
    group_channels = layer.in_channels // layer.groups
    return laid_out(
        hq=layer.out_height + reach,
        wq=layer.out_width + reach,
        phases=layer.stride * layer.stride,
        words=layer.groups * ceil_div(group_channels, arch.activation.word_channels),
        arch=arch,
        images=images,
    )


def residual_layout(layer: ConvLayer, arch: ArchConfig, images: int) -> Layout:
    """The layout a residual addition wants of what it adds: the output map, unpadded."""
    return laid_out(
        hq=layer.out_height,
        wq=layer.out_width,
        phases=1,
        words=ceil_div(layer.out_channels, arch.activation.word_channels),
        arch=arch,
        images=images,
    )


def tensor_layout(network: Network, tensor: str, arch: ArchConfig, images: int) -> Layout:
    """The one layout of a tensor: its consumer's with the largest Hq, then the most bytes."""
    wanted: list[Layout] = []
    for layer in network.layers:
        if layer.input == tensor:
            wanted.append(conv_layout(layer, arch, images))
        if layer.residual == tensor:
            wanted.append(residual_layout(layer, arch, images))
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
    layer's own, as if the tensor lay so.
    """
    there = tensor_layout(network, layer.input, arch, images)
    own = conv_layout(layer, arch, images)
    return there if there.phases == own.phases and there.wq >= own.wq else own


def flattened(layer: ConvLayer, images: int) -> list[Pixel]:
    """Output pixels of the batch in (image, row, column) order."""
    return [
        (image, y, x)
        for image in range(images)
        for y in range(layer.out_height)
        for x in range(layer.out_width)
    ]


def touched_rows(layer: ConvLayer, pixels: list[Pixel]) -> set[Row]:
    """Input rows that a tap of these output pixels touches, clipped to the map (reading 6)."""
    rows: set[Row] = set()
    for image, y, _ in pixels:
        for ky in range(layer.kernel_size):
            row = layer.stride * y - layer.padding + ky
            if 0 <= row < layer.in_height:
                rows.add((image, row))
    return rows


def footprint_bytes(layer: ConvLayer, arch: ArchConfig, pixels: list[Pixel]) -> int:
    """Bytes of buffer for the input of one tile of whole output rows (reading 7)."""
    own = conv_layout(layer, arch)
    padded_rows = [image * own.hq + y for image, y, _ in pixels]
    reach = (layer.kernel_size - 1) // layer.stride
    rows = max(padded_rows) - min(padded_rows) + 1 + reach
    return stored_bytes(arch, own.words, own.phases * rows * own.wq)
