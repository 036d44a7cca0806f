import pickle
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.runner import load_checkpoint

from mmp2seg.converters.released_checkpoints import (
    NETWORKS,
    check_conversion,
    convert_released,
    detect_architecture,
    read_released,
    write_converted,
)
from mmp2seg.registry import MODELS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'p2seg'


def config_of(architecture):
    return Config.fromfile(CONFIGS / f'{architecture}_voc.py')


@pytest.mark.parametrize(
    ('architecture', 'entries', 'dropped'), [('hrnet48', 1766, 4), ('resnet101', 921, 14)]
)
@pytest.mark.parametrize('num_classes', [20, 80])
def test_every_entry_is_used_or_dropped_and_loads_strictly(
    architecture, released_state, entries, dropped, num_classes
):
    state = released_state(architecture, num_classes)
    assert len(state) == entries
    conversion = convert_released(state)
    assert (conversion.architecture, conversion.num_classes) == (architecture, num_classes)
    assert len(conversion.dropped) == dropped
    assert all('center' in name for name in conversion.dropped)
    network = NETWORKS[architecture]
    used = {network.released_name(name): value for name, value in conversion.state_dict.items()}
    assert used.keys() | set(conversion.dropped) == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in used.items())
    check_conversion(conversion, config_of(architecture))


@pytest.mark.parametrize(
    ('architecture', 'name', 'ours'),
    [
        ('hrnet48', 'stage3.1.branches.0.2.bn1.bias', 'backbone.stage3.1.branches.0.2.bn1.bias'),
        ('hrnet48', 'seg.0.bias', 'semantic_head.conv.conv.bias'),
        ('hrnet48', 'offset.2.weight', 'offset_head.predictor.weight'),
        ('hrnet48', 'aff_conv.weight', 'affinity_head.conv.weight'),
        ('resnet101', 'backbone.layer1.0.conv1.weight', 'backbone.layer1.0.conv1.weight'),
        (
            'resnet101',
            'decoder.aff_decoder.fuse.1.0.0.1.bias',
            'affinity_head.decoder.fusions.1.depthwise_conv.bn.bias',
        ),
        (
            'resnet101',
            'decoder.instance_decoder.aspp.convs.4.aspp_pooling.1.weight',
            'offset_head.decoder.aspp.pooling.conv.weight',
        ),
        (
            'resnet101',
            'decoder.semantic_decoder.project.2.1.running_var',
            'semantic_head.decoder.projections.2.bn.running_var',
        ),
    ],
)
def test_names(architecture, name, ours):
    network = NETWORKS[architecture]
    assert (network.rename(name), network.released_name(ours)) == (ours, name)


def _random(shapes):
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def _load_heads(state, **options):
    """Yield a semantic head (K = 2 classes) and an offset head, small, with converted entries."""
    converted = convert_released(state).state_dict
    for name, own in (('Semantic', dict(num_classes=2)), ('Offset', {})):
        options.update(in_channels=4, channels=8)
        head = MODELS.build(dict(type=f'mmp2seg.{name}Head', **own, **options)).eval()
        entries = {key.split('.', 1)[1]: key for key in converted if key.startswith(name.lower())}
        head.load_state_dict({key: converted[full] for key, full in entries.items()}, strict=True)
        yield head


def test_hrnet_heads_give_the_released_maps_with_the_offset_as_dx_dy():
    shapes = {'transition1.0.0.weight': (48,), 'stage4.0.weight': (1,)}
    for name, out in (('seg', 3), ('offset', 2)):
        shapes |= {f'{name}.0.weight': (8, 4, 3, 3), f'{name}.0.bias': (8,)}
        shapes |= {f'{name}.2.weight': (out, 8, 1, 1), f'{name}.2.bias': (out,)}
    state, feature = _random(shapes), torch.randn(2, 4, 6, 5)
    maps = []
    for name in ('seg', 'offset'):
        inner = F.conv2d(feature, state[f'{name}.0.weight'], state[f'{name}.0.bias'], padding=1)
        maps.append(F.conv2d(inner.relu(), state[f'{name}.2.weight'], state[f'{name}.2.bias']))
    semantic, offset = _load_heads(state)
    assert torch.allclose(semantic([feature]), maps[0], rtol=1e-4, atol=1e-4)
    assert torch.allclose(offset([feature]), maps[1][:, [1, 0]], rtol=1e-4, atol=1e-4)


def _released_norm(feature, state, name):
    keys = ('running_mean', 'running_var', 'weight', 'bias')
    return F.batch_norm(feature, *(state[f'{name}.{key}'] for key in keys))


def test_resnet_heads_give_the_released_maps_with_the_offset_as_dx_dy():
    names = ('decoder.semantic_head.classifier.seg', 'decoder.instance_head.classifier.offset')
    norm = ('weight', 'bias', 'running_mean', 'running_var')
    shapes = {f'backbone.layer3.{i}.weight': (1,) for i in range(23)}
    for name, out in zip(names, (3, 2)):
        shapes |= {f'{name}.0.0.0.0.weight': (4, 1, 5, 5), f'{name}.0.0.1.weight': (8, 4, 1, 1)}
        shapes |= {f'{name}.0.0.0.1.{key}': (4,) for key in norm}
        shapes |= {f'{name}.0.0.2.{key}': (8,) for key in norm}
        shapes |= {f'{name}.1.weight': (out, 8, 1, 1), f'{name}.1.bias': (out,)}
    state, feature = _random(shapes), torch.randn(2, 4, 6, 5)
    state = {key: v.abs() + 0.1 if key.endswith('_var') else v for key, v in state.items()}
    state |= {
        f'{name}.0.0.{key}.num_batches_tracked': torch.tensor(3)
        for name in names
        for key in ('0.1', '2')
    }
    maps = []
    for name in names:
        inner = F.conv2d(feature, state[f'{name}.0.0.0.0.weight'], padding=2, groups=4)
        inner = _released_norm(inner, state, f'{name}.0.0.0.1').relu()
        inner = F.conv2d(inner, state[f'{name}.0.0.1.weight'])
        inner = _released_norm(inner, state, f'{name}.0.0.2').relu()
        maps.append(F.conv2d(inner, state[f'{name}.1.weight'], state[f'{name}.1.bias']))
    options = dict(kernel_size=5, depthwise_separable=True, norm_cfg=dict(type='BN'))
    semantic, offset = _load_heads(state, **options)
    assert torch.allclose(semantic([feature]), maps[0], rtol=1e-4, atol=1e-4)
    assert torch.allclose(offset([feature]), maps[1][:, [1, 0]], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('architecture', ['hrnet48', 'resnet101'])
def test_missing_unknown_and_wrong_entries_are_named(architecture, released_state):
    name = 'stage4.2.fuse_layers.0.3.1.bias' if architecture == 'hrnet48' else 'backbone.bn1.bias'
    state = released_state(architecture)
    without = {key: value for key, value in state.items() if key != name}
    cfg = config_of(architecture)
    with pytest.raises(ValueError, match=f'entries missing: {name}$'):
        check_conversion(convert_released(without), cfg)
    with pytest.raises(ValueError, match=f'entries of another shape: {name}$'):
        check_conversion(convert_released({**state, name: torch.zeros(7)}), cfg)
    with pytest.raises(ValueError, match=r'unknown entries in a \S+ checkpoint: more\.weight$'):
        convert_released({**state, 'more.weight': torch.zeros(1)})
    deeper = name.replace('.bias', '.more')
    with pytest.raises(ValueError, match=f'entries unknown: {deeper}$'):
        check_conversion(convert_released({**state, deeper: torch.zeros(1)}), cfg)


def test_other_networks_are_refused(released_state):
    narrow = {'stage4.0.weight': torch.zeros(1), 'transition1.0.0.weight': torch.zeros(32, 256)}
    with pytest.raises(ValueError, match=r'expected HRNet-48, .* got 32'):
        detect_architecture(narrow)
    state = released_state('resnet101')
    shallow = {name: value for name, value in state.items() if '.layer3.22.' not in name}
    with pytest.raises(ValueError, match='expected ResNet-101, with 23 blocks in layer3, got 22'):
        detect_architecture(shallow)
    with pytest.raises(ValueError, match='HRNet-48 or ResNet-101 network, got the entries a, b, c'):
        detect_architecture(dict.fromkeys('abc', torch.zeros(1)))
    with pytest.raises(ValueError, match=r'HRNet-48 checkpoint with the entry seg\.2\.weight'):
        convert_released({**narrow, 'transition1.0.0.weight': torch.zeros(48)})


def test_a_config_of_stage_2_is_refused(released_state):
    conversion = convert_released(released_state('hrnet48'))
    with pytest.raises(ValueError, match='expected the config of a stage-1 network'):
        check_conversion(conversion, Config(dict(model=dict(type='MaskRCNN'))))


@pytest.mark.parametrize('form', ['model', 'bare', 'module'])
def test_reading_takes_the_forms_that_are_about(form, tmp_path):
    state = {'seg.0.weight': torch.arange(3)}
    content = dict(
        model={'model': state},
        bare=state,
        module={'model': {f'module.{name}': value for name, value in state.items()}},
    )
    torch.save(content[form], tmp_path / 'a.pt')
    (read,) = read_released(tmp_path / 'a.pt').items()
    assert read[0] == 'seg.0.weight' and torch.equal(read[1], torch.arange(3))


class Trap:
    """An object whose unpickling creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


@pytest.mark.parametrize(
    'pack', [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))]
)
def test_reading_runs_no_code(pack, tmp_path):
    pack({'model': {'seg.0.weight': Trap(tmp_path / 'ran')}}, tmp_path / 'a.pt')
    with pytest.raises(ValueError, match=r'a\.pt: expected a file of torch\.save'):
        read_released(tmp_path / 'a.pt')
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'model': {}}, 'expected a state dict'),
        ([torch.zeros(1)], 'expected a state dict'),
        ({'state_dict': {}, 'meta': {}}, 'named tensors only, got also state_dict, meta'),
        ({'model': {'epoch': 3}}, 'named tensors only, got also epoch'),
    ],
)
def test_files_without_a_state_dict(content, message, tmp_path):
    torch.save(content, tmp_path / 'a.pt')
    with pytest.raises(ValueError, match=message):
        read_released(tmp_path / 'a.pt')


@pytest.mark.parametrize('content', [b'', b'no checkpoint', b'PK\x03\x04 broken'])
def test_files_that_are_no_checkpoint(content, tmp_path):
    (tmp_path / 'a.pt').write_bytes(content)
    with pytest.raises(ValueError, match=r'a\.pt: expected a file of torch\.save'):
        read_released(tmp_path / 'a.pt')


def test_the_written_file_loads_as_mmengine_loads(tmp_path, released_state):
    conversion = convert_released(released_state('hrnet48'))
    path = tmp_path / 'new' / 'ours.pth'
    write_converted(path, conversion)
    assert [file.name for file in path.parent.iterdir()] == ['ours.pth']
    cfg = config_of('hrnet48')
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model)
    checkpoint = load_checkpoint(model, str(path), strict=True)
    assert checkpoint['meta']['num_classes'] == 20
    assert checkpoint['meta']['dropped'] == conversion.dropped
    assert torch.equal(
        model.state_dict()['backbone.bn1.bias'], conversion.state_dict['backbone.bn1.bias']
    )
    torch.load(path, weights_only=True)
