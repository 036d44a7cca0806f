"""Generate the names and shapes of the released checkpoints."""

import pytest
import torch


def _norm(name, channels):
    one = dict.fromkeys(('weight', 'bias', 'running_mean', 'running_var'), (channels,))
    return {f'{name}.{key}': shape for key, shape in {**one, 'num_batches_tracked': ()}.items()}


def _conv(name, norm, out, channels, kernel):
    """Return the shapes of a convolution without bias and its norm."""
    return {f'{name}.weight': (out, channels, kernel, kernel), **_norm(norm, out)}


def _sequence(name, out, channels, kernel):
    return _conv(f'{name}.0', f'{name}.1', out, channels, kernel)


def _biased(name, out, channels, kernel):
    return {f'{name}.weight': (out, channels, kernel, kernel), f'{name}.bias': (out,)}


def _block(name, kernels, widths):
    """Return the shapes of a residual block; ``widths`` are the channels before and after convs."""
    shapes = {}
    for i, kernel in enumerate(kernels, start=1):
        shapes |= _conv(f'{name}.conv{i}', f'{name}.bn{i}', widths[i], widths[i - 1], kernel)
    return shapes


def _bottlenecks(name, count, channels, width):
    shapes = _sequence(f'{name}.0.downsample', 4 * width, channels, 1)
    for i in range(count):
        widths = (4 * width if i else channels, width, width, 4 * width)
        shapes |= _block(f'{name}.{i}', (1, 3, 1), widths)
    return shapes


def _hrnet_module(name, widths, outputs):
    shapes = {}
    for branch, width in enumerate(widths):
        for i in range(4):
            shapes |= _block(f'{name}.branches.{branch}.{i}', (3, 3), (width,) * 3)
    for out in range(outputs):
        for branch in range(out + 1, len(widths)):
            fuse = f'{name}.fuse_layers.{out}.{branch}'
            shapes |= _sequence(fuse, widths[out], widths[branch], 1)
        for branch in range(out):
            for step in range(out - branch):
                width = widths[out if step == out - branch - 1 else branch]
                fuse = f'{name}.fuse_layers.{out}.{branch}.{step}'
                shapes |= _sequence(fuse, width, widths[branch], 3)
    return shapes


def _hrnet48(num_classes):
    widths = (48, 96, 192, 384)
    shapes = _conv('conv1', 'bn1', 64, 3, 3) | _conv('conv2', 'bn2', 64, 64, 3)
    shapes |= _bottlenecks('layer1', 4, 64, 64) | _sequence('transition1.0', 48, 256, 3)
    for stage, modules in ((2, 1), (3, 4), (4, 3)):
        channels = 256 if stage == 2 else widths[stage - 2]
        transition = f'transition{stage - 1}.{stage - 1}.0'
        shapes |= _sequence(transition, widths[stage - 1], channels, 3)
        for i in range(modules):
            last = stage == 4 and i == modules - 1
            outputs = 1 if last else stage
            shapes |= _hrnet_module(f'stage{stage}.{i}', widths[:stage], outputs)
    for head, out in (('seg', num_classes + 1), ('center', num_classes), ('offset', 2)):
        shapes |= _biased(f'{head}.0', 256, 48, 3) | _biased(f'{head}.2', out, 256, 1)
    return shapes | _biased('aff_conv', 256, 48, 3)


def _separable(name, out, channels):
    depthwise = _sequence(f'{name}.0', channels, 1, 5)
    return depthwise | _conv(f'{name}.1', f'{name}.2', out, channels, 1)


def _decoder(name, low_level, width):
    aspp = f'decoder.{name}_decoder.aspp'
    shapes = {f'{aspp}.convs.4.aspp_pooling.1.weight': (256, 2048, 1, 1)}
    for i in range(4):
        shapes |= _sequence(f'{aspp}.convs.{i}', 256, 2048, 3 if i else 1)
    shapes |= _sequence(f'{aspp}.project', 256, 5 * 256, 1)
    for i, (feature, low) in enumerate(zip((1024, 512, 256), low_level)):
        shapes |= _sequence(f'decoder.{name}_decoder.project.{i}', low, feature, 1)
        joined = (width if i else 256) + low
        shapes |= _separable(f'decoder.{name}_decoder.fuse.{i}.0', width, joined)
    return shapes


def _resnet101(num_classes):
    shapes = _conv('backbone.conv1', 'backbone.bn1', 64, 3, 7)
    for i, count in enumerate((3, 4, 23, 3)):
        channels = 128 * 2**i if i else 64
        shapes |= _bottlenecks(f'backbone.layer{i + 1}', count, channels, 64 * 2**i)
    shapes |= _decoder('semantic', (128, 64, 32), 256) | _decoder('aff', (128, 64, 32), 256)
    shapes |= _decoder('instance', (64, 32, 16), 128)
    heads = (
        ('semantic_head.classifier.seg', 256, 256, num_classes + 1),
        ('instance_head.classifier.center', 128, 128, num_classes),
        ('instance_head.classifier.offset', 128, 32, 2),
    )
    for head, channels, width, out in heads:
        shapes |= _separable(f'decoder.{head}.0.0', width, channels)
        shapes |= _biased(f'decoder.{head}.1', out, width, 1)
    return shapes


@pytest.fixture
def released_state():
    """Makes entries with the released names and shapes, in little memory, each with its value."""

    def make(architecture, num_classes=20):
        shapes = {'hrnet48': _hrnet48, 'resnet101': _resnet101}[architecture](num_classes)
        return {
            name: torch.tensor([float(i)]).expand(shape) if shape else torch.tensor(i)
            for i, (name, shape) in enumerate(shapes.items())
        }

    return make
