"""Transformers that cut their tokens: Swin's windows, a decoder of two sequences."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.attention import Mlp


class WindowAttention(nn.Module):
    """Attention inside windows of 2x2 tokens, moved by one if ``shifted``; a bias a pair."""

    def __init__(self, width: int, heads: int, shifted: bool) -> None:
        super().__init__()
        self.heads, self.shift = heads, 1 if shifted else 0
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.bias = nn.Parameter(torch.randn(heads, 4, 4) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        count, height, width, channels = x.shape
        if self.shift:
            x = torch.roll(x, (-self.shift, -self.shift), dims=(1, 2))
        cut = x.view(count, height // 2, 2, width // 2, 2, channels)
        tokens = cut.permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, channels)
        shape = len(tokens), 4, 3, self.heads, channels // self.heads
        q, k, v = self.qkv(tokens).reshape(shape).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * shape[-1] ** -0.5 + self.bias).softmax(-1)
        seen = self.proj((weights @ v).transpose(1, 2).reshape(-1, 4, channels))
        joined = seen.view(count, height // 2, width // 2, 2, 2, channels).permute(0, 1, 3, 2, 4, 5)
        out = joined.reshape(count, height, width, channels)
        return torch.roll(out, (self.shift, self.shift), dims=(1, 2)) if self.shift else out


class Swin(nn.Module):
    """Two blocks of windows, a merge of 2x2 tokens into one, the mean."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, stride=4)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.attentions = nn.ModuleList(WindowAttention(width, 2, s) for s in (False, True))
        self.mlps = nn.ModuleList(Mlp(width, 2 * width) for _ in range(2))
        self.merge = nn.Linear(4 * width, 2 * width, bias=False)
        self.head = nn.Linear(2 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).permute(0, 2, 3, 1)
        for i in range(2):
            x = x + self.attentions[i](self.norms[2 * i](x))
            x = x + self.mlps[i](self.norms[2 * i + 1](x))
        corners = [x[:, i::2, j::2] for j in range(2) for i in range(2)]
        x = self.merge(torch.cat(corners, -1))
        return self.head(x.mean((1, 2)))


class Decoder(nn.Module):
    """Tokens that look back (causal), then at another sequence; rows of features come in.

    The input is (N, T, width); its first four tokens are the other sequence.
    """

    def __init__(self, width: int = 16, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.cross = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = Mlp(width, 2 * width)
        self.head = nn.Linear(width, 12, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        other, x = x[:, :4], x[:, 4:]
        parts = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + seen.transpose(1, 2).flatten(2)
        x = x + self.cross(self.norm2(x), other, other)[0]
        return self.head(x + self.mlp(x))
