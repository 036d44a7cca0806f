from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels.coco_json import assemble, load, mask_entries
from mmp2seg.testing.tiny_sam import write_tiny_sam

from .tool_runs import run_tool


def entry(columns, **changes):
    mask = np.zeros((40, 50), bool)
    mask[10:20, columns] = True
    return dict(
        image_id=1, category_id=1, **mask_entries(encode_rle(mask)), iscrowd=0, score=0.5,
        point=[12.5, 15.5], point_id=0, **changes,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An image, labels of one point, and SAM's labels of the same point."""
    monkeypatch.chdir(tmp_path)
    Path('images').mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(noise).save('images/a.png')
    images = [dict(id=1, file_name='a.png', height=40, width=50)]
    categories = [dict(id=1, name='cat')]
    write_json('labels.json', assemble(images, categories, [entry(slice(10, 20))], [], {}))
    masks = [slice(12, 14), slice(10, 22), slice(0, 50)]
    candidates = [dict(segmentation=entry(each)['segmentation'], score=0.8) for each in masks]
    sam = entry(masks[2], candidate=2, candidates=candidates)
    write_json('sam.json', assemble(images, categories, [sam], [], {}))
    return tmp_path


def test_with_candidates_of_an_earlier_command(folder, capsys):
    run_tool('refine_labels', 'labels.json', '--candidates', 'sam.json', '--out', 'out.json')
    (found,) = load('out.json')['annotations']
    assert found['candidate'] == 1 and found['area'] == 120
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'out.json: 1 masks'
    assert '  took the middle candidate: 1 (100.0 %)' in lines
    options = ('--cfg-options', 'label_refiner.min_iou=0.9')
    run_tool(
        'refine_labels', 'labels.json', '--candidates', 'sam.json', '--out', 'b.json', *options
    )
    assert load('b.json')['annotations'] == load('labels.json')['annotations']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['labels.json', '--out', 'x.json'], 'expected either IMAGES or --candidates'),
        (
            ['labels.json', 'images', '--candidates', 'sam.json', '--out', 'x.json'],
            'expected either IMAGES or --candidates',
        ),
        (
            ['labels.json', '--candidates', 'sam.json', '--weights', 'w', '--out', 'x.json'],
            'expected --weights or --candidates, got both',
        ),
        (
            ['labels.json', '--candidates', 'sam.json', '--out', 'labels.json'],
            '--out: expected another file than labels.json',
        ),
        (
            ['labels.json', '--candidates', 'labels.json', '--out', 'x.json'],
            'labels.json: expected annotations with candidates',
        ),
        (['labels.json', 'images', '--weights', './none', '--out', 'x.json'], 'SAM'),
    ],
)
def test_mistakes(folder, capsys, arguments, message):
    with pytest.raises(SystemExit) as error:
        run_tool('refine_labels', *arguments)
    assert message in str(error.value) + capsys.readouterr().err
    assert not Path('x.json').exists()


def test_with_a_random_sam(folder, capsys):
    pytest.importorskip('transformers', reason='transformers (extra sam) is not installed')
    write_tiny_sam('sam')
    run_tool('refine_labels', 'labels.json', 'images', '--weights', 'sam', '--out', 'out.json',
             '--device', 'cpu')  # fmt: skip
    (candidates,) = load('out.sam.json')['annotations']
    assert len(candidates['candidates']) == 3
    assert load('out.json')['info']['refined']['by'] == 'out.sam.json'
    assert 'points: 1' in capsys.readouterr().out
    assert not Path('out.sam.json.partial').exists()
