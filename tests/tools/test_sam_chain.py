"""The row 'SAM, point prompts', from points to a trained stage 2, as docs/sam.md has it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mmp2seg.pseudo_labels.coco_json import load
from mmp2seg.testing.tiny_sam import write_tiny_sam

from .tool_runs import TOOLS

NUCLEI = TOOLS.parent / 'examples' / 'nuclei'


@pytest.mark.slow
def test_from_points_to_stage_2(tmp_path, monkeypatch):
    pytest.importorskip('transformers', reason='transformers (extra sam) is not installed')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    write_tiny_sam('sam')

    def run(tool, *arguments):
        command = [sys.executable, TOOLS / f'{tool}.py', *arguments, '--device', 'cpu']
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    images = NUCLEI / 'images'
    run('init', 'data', '--images', images, '--points', NUCLEI / 'points.csv', '--from-scratch')
    run('masks', images, 'data/points.json', '--segmenter', 'sam', '--weights', 'sam',
        '--out', 'data/start.json', '--maps', 'data/maps')  # fmt: skip
    labels = load('data/start.json')
    assert len(labels['annotations']) == 351
    assert all(len(ann['candidates']) == 3 for ann in labels['annotations'])

    options = ('--cfg-options', 'train_dataloader.dataset.ann_file=data/start.json')
    run('train', 'data/stage2.py', '--work-dir', 'row', *options, 'train_cfg.max_iters=2')
    assert Path('row/iter_2.pth').is_file()

    run('train', 'data/stage1.py', '--cfg-options', 'train_cfg.max_iters=2')
    run('generate_pseudo_labels', 'data/stage1.py', 'data/stage1/iter_2.pth',
        '--out', 'data/p2seg.json', '--start', 'data/start.json')  # fmt: skip
    out = run('refine_labels', 'data/p2seg.json', images, '--weights', 'sam',
              '--out', 'data/pseudo_labels.json')  # fmt: skip
    assert 'points: 351' in out
    refined = json.loads(Path('data/pseudo_labels.json').read_text())
    assert sum(refined['info']['refined']['taken'].values()) == 351
    run('train', 'data/stage2.py', '--cfg-options', 'train_cfg.max_iters=2')
    assert Path('data/stage2/iter_2.pth').is_file()
