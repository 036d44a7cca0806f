import json

import pytest

from mmp2seg.analysis.report.report import LabelFiles, write_report

from .conftest import EVIL_CLASS, EVIL_NAME
from .test_html_parts import read


@pytest.fixture
def work_dir(tmp_path):
    folder = tmp_path / 'work'
    (folder / '1' / 'vis_data').mkdir(parents=True)
    entries = [dict(loss=2.0, step=1), dict(loss=1.0, step=2), {'coco/mAP': 0.25, 'step': 2}]
    (folder / '1' / 'vis_data' / 'scalars.json').write_text('\n'.join(map(json.dumps, entries)))
    (folder / '2').mkdir()
    (folder / '2' / '2.json').write_text(json.dumps({'coco/mAP': 0.375}))
    (folder / 'config.py').write_text("model = dict(type='P2Seg')  # <script>\n")
    return folder


def files_of(folder, **changes):
    options = dict(
        images=str(folder.images),
        truth=str(folder.root / 'truth.json'),
        semantic_maps=str(folder.maps),
    )
    return LabelFiles(str(folder.root / 'labels.json'), **{**options, **changes})


def test_whole_report(work_dir, label_folder, tmp_path):
    out = tmp_path / 'new' / 'report.html'
    headings = write_report(work_dir, out, files=files_of(label_folder))
    assert headings == [
        'Configuration',
        'Training',
        'Metrics',
        'Pseudo labels',
        'Best masks',
        'Worst masks',
        'Masks without a true object',
        'Points without a mask',
    ]
    reader = read(out.read_text())
    assert [path.name for path in out.parent.iterdir()] == ['report.html']
    # curves, two histograms, 2 + 1 objects, one without truth, two failures
    sources = [attributes['src'] for tag, attributes in reader.tags if tag == 'img']
    assert len(sources) == 9
    assert all(source.startswith('data:image/') for source in sources)
    for text in (
        'P2Seg',
        '0.25',
        '0.375',
        'cat, score 0.90, IoU 1.00',
        'point 9 at x 20.5, y 30.5',
    ):
        assert text in reader.text
    for reason in ('no_region: the semantic map has no', 'outside_image: the point is not inside'):
        # in the table of counts and at the point
        assert reader.text.count(reason) == 2
    assert str(tmp_path) not in out.read_text()


def test_names_are_text(work_dir, label_folder, tmp_path):
    out = tmp_path / 'report.html'
    write_report(work_dir, out, files=files_of(label_folder))
    reader = read(out.read_text())
    assert EVIL_CLASS in reader.text and EVIL_NAME in reader.text and '# <script>' in reader.text
    tags = {tag for tag, _ in reader.tags}
    assert not tags & {'script', 'link', 'iframe', 'object', 'form'}
    names = {name for _, attributes in reader.tags for name in attributes}
    assert not any(name.startswith('on') for name in names)
    assert not any(
        value.startswith('http')
        for _, attributes in reader.tags
        for name, value in attributes.items()
        if name in ('src', 'href', 'action')
    )


def test_limits(work_dir, label_folder, tmp_path):
    out = tmp_path / 'report.html'
    files = files_of(label_folder, truth=None, semantic_maps=None)
    headings = write_report(work_dir, out, files=files, num=1, max_failed=1)
    assert 'Masks without a true object' not in headings
    reader = read(out.read_text())
    # curves, histogram, best, worst, one failure; the other one is listed
    assert sum(tag == 'img' for tag, _ in reader.tags) == 5
    assert 'By score.' in reader.text and 'The first 1 of 2 are drawn.' in reader.text
    assert 'outside_image: the point is not inside the image' in reader.text
    assert 'semantic maps are those' not in reader.text


def test_labels_without_images(work_dir, label_folder, tmp_path):
    out = tmp_path / 'report.html'
    files = files_of(label_folder, images=None, semantic_maps=None)
    write_report(work_dir, out, files=files)
    reader = read(out.read_text())
    assert sum(tag == 'img' for tag, _ in reader.tags) == 3
    assert 'point 10 at x 75, y 10' in reader.text


def test_labels_without_masks_or_failures(work_dir, label_folder, tmp_path):
    out = tmp_path / 'report.html'
    label_folder.labels.update(annotations=[], dropped_points=[])
    label_folder.write()
    write_report(work_dir, out, files=files_of(label_folder))
    text = read(out.read_text()).text
    assert 'Every point has a mask.' in text and text.count('There are none.') == 2


def test_a_work_dir_without_anything(tmp_path):
    (tmp_path / 'work').mkdir()
    assert write_report(tmp_path / 'work', tmp_path / 'r.html') == [
        'Configuration',
        'Training',
        'Metrics',
    ]
    text = read((tmp_path / 'r.html').read_text()).text
    assert 'has no config' in text and 'has no log' in text and 'No metrics' in text


def test_an_aborted_run(work_dir, tmp_path):
    """A run that was killed leaves files that end early; the rest of it is shown."""
    (work_dir / 'config.py').write_text("model = dict(type='P2Seg'")
    (work_dir / '1' / 'vis_data' / 'scalars.json').write_text('{"loss": 1.0, "step": 1}\n{"lo')
    (work_dir / '3').mkdir()
    (work_dir / '3' / '3.json').write_text('{"coco/mAP": 0.')
    write_report(work_dir, tmp_path / 'report.html')
    reader = read((tmp_path / 'report.html').read_text())
    assert 'config.py: line 1' in reader.text and "dict(type='P2Seg'" in reader.text
    assert '0.375' in reader.text  # of the other test
    assert '3.json: invalid json' in reader.text
    (work_dir / '1' / 'vis_data' / 'scalars.json').write_text('')
    write_report(work_dir, tmp_path / 'report.html')
    assert 'no log of a training' in read((tmp_path / 'report.html').read_text()).text


def test_mistakes(work_dir, label_folder, tmp_path):
    with pytest.raises(ValueError, match='expected a .html file to write, got r.pdf'):
        write_report(work_dir, 'r.pdf')
    with pytest.raises(FileNotFoundError, match='gone'):
        write_report(tmp_path / 'gone', 'r.html')
    label_folder.labels['annotations'][0]['score'] = None
    label_folder.write()
    with pytest.raises(ValueError, match=r'labels.json: annotations\[0\]: expected score to be'):
        write_report(work_dir, tmp_path / 'r.html', files=files_of(label_folder))
    assert not (tmp_path / 'r.html').exists()
