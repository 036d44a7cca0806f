import json
import random

import numpy as np
import pytest

from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.folder_lock import FolderInUse
from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels.coco_json import assemble
from mmp2seg.pseudo_labels.shards import (
    ImageEntries,
    LabelShards,
    finished_images,
    shard_folder,
    write_labels,
)

CATEGORIES = [dict(id=3, name='cat'), dict(id=5, name='dog')]
RUN = {'checkpoint': 'a', 'sizes': [1, 2]}


def entries_of(image_id, num_points=3):
    """Entries of an image; its last point is dropped, its other points are in no order."""
    image = dict(id=image_id, file_name=f'{image_id}.png', height=4, width=6)
    points = [
        dict(image_id=image_id, category_id=3, point=[1.5, 2.0], point_id=10 + index)
        for index in range(num_points)
    ]
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2 : 3 + image_id % 3] = True
    annotations = [
        {
            **point, 'bbox': [2.0, 1.0, 1.0, 2.0], 'area': int(mask.sum()),
            'segmentation': encode_rle(mask), 'iscrowd': 0, 'score': 0.5,
        }
        for point in points[:-1]
    ]  # fmt: skip
    random.Random(image_id).shuffle(annotations)
    return ImageEntries(image, annotations, [{**p, 'reason': 'no_region'} for p in points[-1:]])


def assembled(found, images=None):
    return assemble(
        images or [entries.image for entries in sorted(found, key=lambda e: e.image['id'])],
        CATEGORIES,
        [annotation for entries in found for annotation in entries.annotations],
        [point for entries in found for point in entries.dropped],
        {'a': 1},
    )


def test_the_json_is_that_of_assemble(tmp_path):
    found = [entries_of(image_id, number) for image_id, number in ((9, 3), (2, 0), (10, 4), (5, 1))]
    shards = LabelShards(tmp_path / 'a.json')
    for entries in found:
        shards.add(entries)
    assert len(shards) == 4
    shards.close()
    joined = shards.joined([4])
    assert len(joined) == 4 and 9 in joined and 8 not in joined
    assert [entries.image['id'] for entries in joined] == [2, 5, 9, 10]
    images = [dict(id=image_id, extra='x') for image_id in (10, 9, 7, 5, 2)]
    for name, listed in (('a', None), ('b', images)):
        counts = write_labels(
            tmp_path / f'{name}.json', lambda: joined, categories=CATEGORIES, info={'a': 1},
            images=listed,
        )  # fmt: skip
        assert (counts.num_images, counts.num_instances) == (5 if listed else 4, 5)
        assert counts.num_dropped == {'no_region': 3}
    write_json(tmp_path / 'expected.json', assembled(found))
    assert (tmp_path / 'a.json').read_bytes() == (tmp_path / 'expected.json').read_bytes()
    content = json.loads((tmp_path / 'b.json').read_text())
    assert content == {**assembled(found), 'images': images}
    shards.remove()
    assert not shard_folder(tmp_path / 'a.json').exists()


def test_entries_that_do_not_fit_leave_no_file(tmp_path):
    found = entries_of(1)
    found.annotations[0]['segmentation']['size'] = [6, 4]
    with pytest.raises(ValueError, match=r'image 1 \(1.png\), point 1.: expected a mask of the'):
        write_labels(tmp_path / 'a.json', lambda: [found], categories=CATEGORIES, info={})
    assert not list(tmp_path.iterdir())


def add_all(outfile, ranks, run=RUN):
    """Write the images of processes, which then end without a json."""
    for rank, image_ids in enumerate(ranks):
        shards = LabelShards(outfile, rank=rank, run=run)
        for image_id in image_ids:
            shards.add(entries_of(image_id))
        shards.close()
        shards._lock.close()  # as the end of the process does


def test_an_interrupted_run_goes_on_with_another_number_of_processes(tmp_path):
    out = tmp_path / 'a.json'
    add_all(out, [[1, 2], [3], [4]])
    assert finished_images(out, RUN) == {1, 2, 3, 4}
    shards = LabelShards(out, run=RUN)
    assert len(shards) == 2
    shards.add(entries_of(5))
    shards.add(entries_of(4))  # again, as it was in an unfinished batch
    shards.close()
    assert [entries.image['id'] for entries in shards.joined([4])] == [1, 2, 3, 4, 5]


def test_of_an_image_of_two_processes_the_first_counts(tmp_path):
    for rank in (1, 0):
        shards = LabelShards(tmp_path / 'a.json', rank=rank)
        shards.add(ImageEntries(dict(id=4, rank=rank), [], []))
        shards.close()
    assert [entries.image['rank'] for entries in shards.joined([1, 1])] == [0]


@pytest.mark.parametrize('other', [{**RUN, 'checkpoint': 'b'}, None])
def test_results_of_another_run_are_forgotten(tmp_path, other):
    out = tmp_path / 'a.json'
    add_all(out, [[1, 2], [3]])
    assert finished_images(out, other) == set() if other else True
    shards = LabelShards(out, run=other)
    shards.add(entries_of(7))
    shards.close()
    assert [entries.image['id'] for entries in shards.joined([1])] == [7]
    shards.remove()
    assert not list(tmp_path.iterdir())


def test_without_a_run_a_second_start_is_a_new_one(tmp_path):
    out = tmp_path / 'a.json'
    add_all(out, [[1, 2], [3]], run=None)
    add_all(out, [[4]], run=None)
    shards = LabelShards(out, rank=1)  # is not the first process: no lock
    assert [entries.image['id'] for entries in shards.joined([1, 0])] == [4]


def test_a_line_that_was_cut_off_is_not_finished(tmp_path):
    out = tmp_path / 'a.json'
    add_all(out, [[1, 2]])
    (path,) = shard_folder(out).glob('*.jsonl')
    path.write_bytes(path.read_bytes()[:-9])
    assert finished_images(out, RUN) == {1}


def test_a_process_whose_shard_is_elsewhere(tmp_path):
    shards = LabelShards(tmp_path / 'a.json')
    shards.add(entries_of(1))
    shards.close()
    with pytest.raises(ValueError, match='00001.jsonl: expected 2 images of process 1, got 0'):
        shards.joined([1, 2])


def test_one_command_at_a_time(tmp_path):
    shards = LabelShards(tmp_path / 'a.json', run=RUN)
    with pytest.raises(FolderInUse, match='a.json.shards: another command is at work'):
        LabelShards(tmp_path / 'a.json', run=RUN)
    shards.remove()
    LabelShards(tmp_path / 'a.json', run=RUN).remove()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda entry: entry.pop(), 'image 2: expected an image, annotations and dropped points'),
        (lambda entry: entry[0].pop('width'), r"image 2: images\[0\] lacks \['width'\]"),
        (
            lambda entry: entry.insert(1, {}) or entry.pop(),
            "image 2: expected a list 'annotations'",
        ),
        (lambda entry: entry[1][0].pop('bbox'), r"image 2: annotations\[0\] lacks \['bbox'\]"),
        (lambda entry: entry[2][0].pop('reason'), r"dropped_points\[0\] lacks \['reason'\]"),
    ],
)
def test_a_broken_shard_is_named(tmp_path, change, message):
    out = tmp_path / 'a.json'
    add_all(out, [[1, 2]])
    (path,) = shard_folder(out).glob('*.jsonl')
    *lines, last = path.read_text().splitlines()
    number, entry = json.loads(last)
    change(entry)
    path.write_text('\n'.join([*lines, json.dumps([number, entry]), '']))
    shards = LabelShards(out, run=RUN)
    with pytest.raises(ValueError, match=f'00000.jsonl: {message}' if '2' in message else message):
        list(shards.joined([2]))
    shards.remove()


@pytest.mark.parametrize('key', ['"2"', 'null', 'true'])
def test_other_keys_among_the_ids_of_a_shard(tmp_path, key):
    out = tmp_path / 'a.json'
    add_all(out, [[1, 2]])
    (path,) = shard_folder(out).glob('*.jsonl')
    path.write_text(path.read_text().replace('[2, [', f'[{key}, [').replace('[1, [', '[0, ['))
    shards = LabelShards(out, run=RUN)
    joined = shards.joined([2])
    assert sorted(entries.image['id'] for entries in joined) == [1, 2]
    shards.remove()


def test_entries_that_do_not_fit_are_named_with_the_file_that_is_not_written(tmp_path):
    found = entries_of(1)
    found.annotations[0]['category_id'] = 99
    with pytest.raises(ValueError, match=r'a\.json: not written, image 1, point .*: category 99'):
        write_labels(tmp_path / 'a.json', lambda: [found], categories=CATEGORIES, info={})
    assert not (tmp_path / 'a.json').exists()
