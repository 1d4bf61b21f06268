"""Twins of parts of the network, for `bench_side_by_side.py`: the image encoder made of timm and
torchvision; and in plain PyTorch, written from the papers, the decoder of StreamPETR (Wang et al.,
ICCV 2023) and the spatial cross-attention of BEVFormer (Li et al., ECCV 2022, section 3.3).

Neither of the last two has a compiled operator, as ours have none. They do what a frame needs while
the calibration stays. What depends on it alone is made before, as it is in ours: the position
encodings of image tokens and the scales and shifts of their alignment; which camera sees which
cell, and where.

Letters: Q queries or BEV cells, T image tokens, S memory slots, C channels, K heads, N cameras,
P points a head, Z heights, L levels of feature maps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from leapai.config import CameraConfig
from leapai.models import sampling
from leapai.models.blocks import FpnNeck
from leapai.models.camera import Backbone
from leapai.models.projection import Projection
from leapai.models.view_transfer import ViewTransfer

CHANNELS, HEADS = 256, 8
MOTION = 180
"""Values that describe the motion of a slot: velocity, age and pose as sines and cosines."""


@dataclass(frozen=True)
class DecoderSizes:
    """Sizes of a decoder that streams queries."""

    queries: int
    """Those of a frame, with the propagated ones."""
    slots: int
    """Slots of memory in addition to the propagated ones."""
    layers: int
    ffn: int
    kept: int
    """Queries that enter memory each frame."""


STREAM_PETR = DecoderSizes(queries=644 + 256, slots=1024 - 256, layers=6, ffn=2048, kept=256)
"""The largest published configuration: 644 learnt and 256 propagated queries, memory of 1024."""


class FusedAttention(nn.Module):
    """Multi-head attention by `scaled_dot_product_attention`."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(CHANNELS, CHANNELS) for _ in range(4))

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attends from [1, Q, C] to [1, T, C]."""
        q, k, v = (
            m(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for m, x in zip(self.maps, (query, key, value), strict=False)
        )
        out: Tensor = self.maps[3](
            F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        )
        return out


class MotionNorm(nn.Module):
    """Layer norm whose scale and shift follow from motion (section 3.3)."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(MOTION, CHANNELS), nn.ReLU())
        self.scale, self.shift = nn.Linear(CHANNELS, CHANNELS), nn.Linear(CHANNELS, CHANNELS)

    def forward(self, x: Tensor, motion: Tensor) -> Tensor:
        """Conditions [1, S, C] on motion [1, S, 180]."""
        hidden = self.hidden(motion)
        normed: Tensor = self.scale(hidden) * F.layer_norm(x, x.shape[-1:]) + self.shift(hidden)
        return normed


class ImageTokens(nn.Module):
    """Embeds image features, aligns them by their camera, and gates the encodings of their places,
    before they are attended to."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = _perceptron(CHANNELS, CHANNELS)
        self.gate = nn.Sequential(*_perceptron(CHANNELS, CHANNELS), nn.Sigmoid())

    def forward(
        self, features: Tensor, place: Tensor, scale: Tensor, shift: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns keys and values of [1, T, C] each, from four tensors of that shape."""
        aligned = scale * F.layer_norm(self.embed(features), features.shape[-1:]) + shift
        return aligned + place * self.gate(aligned), aligned


class StreamPetrLayer(nn.Module):
    """Self-attention over queries and memory, cross-attention to all image tokens, feed-forward."""

    def __init__(self, ffn: int) -> None:
        super().__init__()
        self.self_attention, self.cross_attention = FusedAttention(), FusedAttention()
        self.ffn = nn.Sequential(nn.Linear(CHANNELS, ffn), nn.ReLU(), nn.Linear(ffn, CHANNELS))
        self.norms = nn.ModuleList(nn.LayerNorm(CHANNELS) for _ in range(3))

    def forward(
        self,
        query: Tensor,
        place: Tensor,
        memory: tuple[Tensor, Tensor],
        image: tuple[Tensor, Tensor],
    ) -> Tensor:
        """Refines queries [1, Q, C] at encoded places, given memory [1, S, C] and image tokens
        [1, T, C], each as its keys and its values."""
        to_memory, of_memory = memory
        keys, values = torch.cat([query + place, to_memory], 1), torch.cat([query, of_memory], 1)
        query = self.norms[0](query + self.self_attention(query + place, keys, values))
        query = self.norms[1](query + self.cross_attention(query + place, *image))
        refined: Tensor = self.norms[2](query + self.ffn(query))
        return refined


class StreamPetrDecoder(nn.Module):
    """Image tokens, memory, encodings of places, decoder layers, branches of every layer, and the
    choice of what enters memory."""

    def __init__(self, sizes: DecoderSizes, classes: int = 10) -> None:
        super().__init__()
        self.sizes = sizes
        self.reference = nn.Parameter(torch.rand(1, sizes.queries, 3))
        self.tokens = ImageTokens()
        self.encode = _perceptron(CHANNELS * 3 // 2, CHANNELS)
        self.query_norm, self.memory_norm = MotionNorm(), MotionNorm()
        self.place_norm = MotionNorm()
        self.layers = nn.ModuleList(StreamPetrLayer(sizes.ffn) for _ in range(sizes.layers))
        self.classes = _branch(classes)
        self.boxes = _branch(10)

    def forward(
        self, image: Sequence[Tensor], memory: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decodes the inputs of `ImageTokens` with memory:
        queries [1, G + S, C], places [1, G + S, 3] and motion [1, G + S, 180], of which the first
        G = `kept` are propagated. Returns logits, boxes of every layer, and what enters memory."""
        tokens = self.tokens(*image)
        stored, stored_place, motion = memory
        encoded = self.place_norm(self.encode(_waves(stored_place)), motion)
        stored = self.memory_norm(stored, motion)
        kept, learnt = self.sizes.kept, self.sizes.queries - self.sizes.kept
        places = torch.cat([self.encode(_waves(self.reference[:, :learnt])), encoded[:, :kept]], 1)
        query = torch.cat([torch.zeros_like(places[:, :learnt]), stored[:, :kept]], 1)
        query = self.query_norm(query, motion.new_zeros(1, len(query[0]), MOTION))
        older = (stored[:, kept:] + encoded[:, kept:], stored[:, kept:])
        outputs = []
        for layer in self.layers:
            query = layer(query, places, older, tokens)
            outputs.append(query)
        of_layers = torch.stack(outputs)
        logits = self.classes(of_layers)
        best = logits[-1].amax(-1).topk(kept).indices
        return (
            logits,
            self.boxes(of_layers),
            query.gather(1, best[..., None].expand(-1, -1, CHANNELS)),
        )


def _perceptron(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, CHANNELS), nn.ReLU(), nn.Linear(CHANNELS, outputs))


def _branch(outputs: int) -> nn.Sequential:
    hidden = [
        part
        for _ in range(2)
        for part in (nn.Linear(CHANNELS, CHANNELS), nn.LayerNorm(CHANNELS), nn.ReLU())
    ]
    return nn.Sequential(*hidden, nn.Linear(CHANNELS, outputs))


def _waves(place: Tensor) -> Tensor:
    """Encodes places [..., 3] as sines and cosines [..., 3 * C / 2]."""
    count = CHANNELS // 4
    angle = place[..., None] * 2 * math.pi / 10_000 ** (torch.arange(count) / count)
    return torch.cat([angle.sin(), angle.cos()], -1).flatten(-2)


@dataclass(frozen=True)
class SeenCells:
    """The cells that each camera sees, padded to the same number."""

    cell: Tensor
    """[N, M] the cell; 0 where `is_pad`."""
    is_pad: Tensor
    """[N, M] bool."""
    anchor: Tensor
    """[N, M, Z, 2] x y of its heights in the image, of which [0, 1] is inside."""
    cameras: Tensor
    """[Q, 1] how many cameras see a cell, at least 1."""

    @classmethod
    def of(cls, projection: Projection, cameras: int, size: tuple[int, int]) -> SeenCells:
        """Returns the table of a projection of one stream into maps of `size` (H, W)."""
        pairs = [torch.nonzero(projection.pair_map == n)[:, 0] for n in range(cameras)]
        pad = nn.utils.rnn.pad_sequence(pairs, batch_first=True, padding_value=-1)
        at = pad.clamp(min=0)
        height, width = size
        anchor = (projection.anchor[at] + 0.5) / torch.tensor([width, height])
        is_pad = pad < 0
        cell = projection.pair_cell[at].masked_fill(is_pad, 0)
        return cls(cell, is_pad, anchor, projection.cameras_of_cell[:, None])


class SpatialCrossAttention(nn.Module):
    """Deformable attention of BEV cells to the cameras that see them, by `grid_sample`."""

    def __init__(self, points: int, levels: int = 1) -> None:
        super().__init__()
        self.points, self.levels = points, levels
        self.offsets = nn.Linear(CHANNELS, HEADS * levels * points * 2)
        self.logits = nn.Linear(CHANNELS, HEADS * levels * points)
        self.value = nn.Linear(CHANNELS, CHANNELS)
        self.out = nn.Linear(CHANNELS, CHANNELS)

    def forward(self, query: Tensor, maps: Sequence[Tensor], seen: SeenCells) -> Tensor:
        """Attends from [Q, C] to feature maps [N, C, H, W] of every level: [Q, C]."""
        of_camera = query[seen.cell]  # [N, M, C]
        shape = (*seen.cell.shape, HEADS, self.levels, self.points)
        offsets = self.offsets(of_camera).view(*shape, 2)
        weight = self.logits(of_camera).view(*shape[:3], -1).softmax(-1).view(shape)
        anchor = seen.anchor.repeat_interleave(self.points // seen.anchor.shape[2], 2)
        sums = torch.zeros(*seen.cell.shape, CHANNELS)
        for level, features in enumerate(maps):
            size = torch.tensor([features.shape[3], features.shape[2]])
            where = anchor[:, :, None] + offsets[:, :, :, level] / size  # [N, M, K, P, 2]
            sums += self._sampled(features, where, weight[:, :, :, level])
        sums = sums.masked_fill(seen.is_pad[..., None], 0.0)
        slots = torch.zeros_like(query).index_add(0, seen.cell.flatten(), sums.flatten(0, 1))
        out: Tensor = self.out(slots / seen.cameras)
        return out

    def _sampled(self, features: Tensor, where: Tensor, weight: Tensor) -> Tensor:
        """Returns weighted sums [N, M, C] of a level, at [N, M, K, P, 2] of [0, 1]."""
        count = len(features)
        value = self.value(features.flatten(2).transpose(1, 2)).transpose(1, 2)
        value = value.reshape(count * HEADS, -1, *features.shape[2:])
        grid = 2 * where.transpose(1, 2).flatten(0, 1) - 1  # [N * K, M, P, 2]
        samples = F.grid_sample(value, grid, align_corners=False)  # [N * K, C / K, M, P]
        weighted = (samples * weight.transpose(1, 2).flatten(0, 1)[:, None]).sum(-1)
        return weighted.view(count, CHANNELS, -1).transpose(1, 2)


def with_our_weights(view: ViewTransfer) -> SpatialCrossAttention:
    """Returns the twin with the weights of our attention."""
    twin = SpatialCrossAttention(view.points).eval()
    for name in ("offsets", "logits", "value", "out"):
        getattr(twin, name).load_state_dict(getattr(view, name).state_dict(), strict=False)
    nn.init.zeros_(twin.value.bias)
    return twin


def check_same_attention(
    view: ViewTransfer,
    twin: SpatialCrossAttention,
    features: Tensor,
    projection: Projection,
    seen: SeenCells,
) -> None:
    """Compares both attentions of the same queries in the cells whose heights are all inside each
    image that sees any: ours leaves the others out, BEVFormer counts them as zeros."""
    cells = torch.randn(len(view.cell_embedding), CHANNELS)
    size = (features.shape[2], features.shape[3])
    ours = view.out(view._attend(sampling.to_rows(features), cells, projection, size))
    theirs = twin(view.query_norm(cells) + view.cell_embedding, [features], seen)
    is_whole = torch.ones(len(cells), dtype=torch.bool)
    is_whole[projection.pair_cell[~projection.anchor_seen.all(1)]] = False
    assert is_whole.any()
    torch.testing.assert_close(theirs[is_whole], ours[is_whole], rtol=1e-3, atol=1e-4)


class TimmWithFpn(nn.Module):
    """The same network of timm and torchvision, with the same weights: images [M, 3, H, W] uint8 ->
    the finest map of the pyramid."""

    def __init__(self, backbone: Backbone, neck: FpnNeck, camera: CameraConfig) -> None:
        super().__init__()
        self.mean, self.std = backbone.mean, backbone.std
        self.net = timm.create_model(
            camera.backbone, features_only=True, out_indices=(2, 3, 4), **camera.backbone_args
        )
        self.net.load_state_dict(backbone.net.state_dict())
        self.fpn = FeaturePyramidNetwork(list(backbone.channels), neck.smooth.out_channels)
        for block, lateral in zip(self.fpn.inner_blocks, neck.lateral, strict=True):
            block[0].load_state_dict(lateral.state_dict())
        self.fpn.layer_blocks[0][0].load_state_dict(neck.smooth.state_dict())
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Encodes images as backbone and neck do."""
        pixels = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        maps: Tensor = self.fpn(dict(enumerate(self.net(pixels))))[0]
        return maps
