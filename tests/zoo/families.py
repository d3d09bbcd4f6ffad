"""The table of networks: how each is built, what it reads, which cannot be a layer list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo import attention, branching, mobile, plain, residual, unusual


@dataclass(frozen=True)
class Family:
    """A network of random weights, the same in every process.

    ``shape``: of its example, a batch of two. ``refused``: a word of what no layer list can say,
    its operator, module or kind of tensor (case ignored), and ``refused_in`` the module's path,
    where it is not the model itself. ``onnx``: one of
    those that the reader of ONNX files is held to.
    """

    builder: Callable[[], nn.Module]
    shape: tuple[int, ...] = (2, 3, 32, 32)
    refused: str | None = None
    refused_in: str | None = None
    onnx: bool = False

    def build(self) -> nn.Module:
        """In evaluation mode; its BNs have means and variances that are not 0 and 1."""
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            model = self.builder()
            for module in model.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                    module.running_mean.normal_(0, 0.1)
                    module.running_var.uniform_(0.5, 1.5)
        return model.eval()

    def example(self, images: int | None = None) -> Tensor:
        """Normally distributed; ``images`` in place of two."""
        count = images or self.shape[0]
        return torch.randn(count, *self.shape[1:], generator=torch.Generator().manual_seed(1))


SMALL = (2, 3, 16, 16)
LARGE = (2, 3, 64, 64)

FAMILIES: dict[str, Family] = {
    "resnet": Family(residual.resnet_b, SMALL, onnx=True),
    "resnet_option_a": Family(residual.resnet_a, SMALL),
    "resnet_bottleneck": Family(residual.resnet_bottleneck, onnx=True),
    "preact_resnet": Family(residual.preact_resnet, SMALL),
    "se_resnet": Family(residual.se_resnet, SMALL, onnx=True),
    "resnext": Family(residual.resnext, SMALL),
    "regnet": Family(residual.regnet, SMALL),
    "vgg": Family(plain.Vgg, SMALL, onnx=True),
    "alexnet": Family(plain.AlexNet, LARGE, onnx=True),
    "googlenet": Family(branching.GoogLeNet),
    "densenet": Family(branching.DenseNet, SMALL, onnx=True),
    "squeezenet": Family(branching.SqueezeNet),
    "mobilenet_v1": Family(mobile.mobilenet_v1, SMALL),
    "mobilenet_v2": Family(mobile.mobilenet_v2, SMALL, onnx=True),
    "mobilenet_v3": Family(mobile.mobilenet_v3, SMALL),
    "efficientnet": Family(mobile.efficientnet, SMALL),
    "shufflenet_v1": Family(mobile.shufflenet_v1, SMALL),
    "shufflenet_v2": Family(mobile.shufflenet_v2, SMALL),
    "unet": Family(branching.UNet, SMALL),
    "unet_nearest": Family(lambda: branching.UNet(nearest=True), SMALL),
    "aspp": Family(branching.Aspp),
    "autoencoder": Family(plain.Autoencoder, SMALL),
    "ds_cnn": Family(plain.DsCnn, (2, 1, 49, 10)),
    "m5": Family(plain.M5, (2, 1, 640)),
    "vit": Family(lambda: attention.Vit("class"), SMALL, onnx=True),
    "vit_torch": Family(lambda: attention.Vit("torch"), SMALL),
    "vit_mean": Family(lambda: attention.Vit("mean"), SMALL),
    "mixer": Family(attention.Mixer, SMALL),
    "convnext": Family(attention.ConvNext),
    "free_parameters": Family(unusual.FreeParameters, SMALL),
    "forked": Family(plain.Forked, SMALL),
    "lstm": Family(
        lambda: unusual.Recurrent(nn.LSTM), (2, 1, 8, 12), refused="LSTM", refused_in="recurrent"
    ),
    "gru": Family(
        lambda: unusual.Recurrent(nn.GRU), (2, 1, 8, 12), refused="GRU", refused_in="recurrent"
    ),
    "conv3d": Family(unusual.Volume, (2, 3, 4, 8, 8), refused="convolution", refused_in="conv1"),
}
"""By name."""
