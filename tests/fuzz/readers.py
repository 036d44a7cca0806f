"""Every reader of the package with small valid files, for fuzzing."""

import io
import json
import math

import cv2
import numpy as np
import scipy.io
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from mmp2seg.analysis.dataset_check.image_classes import read_image_classes
from mmp2seg.analysis.report.settings import read_settings
from mmp2seg.analysis.training_logs import read_training_log
from mmp2seg.annotation.point_store import PointStore
from mmp2seg.apis.config_classes import check_label_files
from mmp2seg.apis.data_files import check_data_files
from mmp2seg.apis.runner import load_images_by_name
from mmp2seg.apis.stage1_network import load_weights
from mmp2seg.converters.class_names import resolve_classes
from mmp2seg.converters.coco_maps import coco_semantic_maps
from mmp2seg.converters.colour_table import read_colour_table
from mmp2seg.converters.instances_to_points import convert_instances
from mmp2seg.converters.point_formats import FORMATS
from mmp2seg.converters.point_json import SourceImage, SourcePoint, assemble_point_json
from mmp2seg.converters.point_masks_to_maps import point_masks_to_maps
from mmp2seg.converters.point_rules import PointRule
from mmp2seg.converters.points_file import read_points
from mmp2seg.converters.released_checkpoints import read_released
from mmp2seg.converters.remap_maps import read_category_mapping, read_mapping_file, remap_maps
from mmp2seg.converters.sbd import read_sbd_maps
from mmp2seg.converters.semantic_folder import import_semantic_maps
from mmp2seg.converters.voc_masks import convert_voc_masks
from mmp2seg.datasets import PointCocoDataset, PointVOCDataset, PseudoLabelCocoDataset
from mmp2seg.datasets.transforms.loading import LoadPointAnnotations
from mmp2seg.datasets.voc_layout import read_image_list
from mmp2seg.evaluation.functional.prediction_file import PredictionFile
from mmp2seg.evaluation.functional.truth_file import TruthFile, compare_files
from mmp2seg.files.config_reading import read_config
from mmp2seg.files.image_folder import image_size
from mmp2seg.files.image_reading import read_rgb
from mmp2seg.files.index_png import read_index_png, voc_palette
from mmp2seg.files.journal import Journal
from mmp2seg.files.json_reading import read_json
from mmp2seg.files.json_stream import stream_json_object
from mmp2seg.files.safe_checkpoints import require_weights
from mmp2seg.files.weights_only import weights_only
from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels.labels import PseudoLabels
from mmp2seg.pseudo_labels.parts import merge_files, split_file
from mmp2seg.pseudo_labels.shards import (
    ImageEntries,
    LabelShards,
    finished_images,
    write_labels,
)
from mmp2seg.testing.fuzzing import Reader

CLASSES = ('bar', 'block')
SIZE = (12, 16)


def encoded(pixels, suffix='.png', **options):
    file = io.BytesIO()
    kind = {'.png': 'PNG', '.jpg': 'JPEG', '.tif': 'TIFF', '.bmp': 'BMP', '.webp': 'WEBP'}[suffix]
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def as_json(content):
    return json.dumps(content).encode()


PIXELS = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
IMAGES = {'img/a.png': encoded(PIXELS), 'img/b.png': encoded(PIXELS[::-1])}
MAP = np.zeros(SIZE, np.uint8)
MAP[2:6, 2:10], MAP[7:11, 3:8], MAP[0] = 1, 2, 255
OBJECT_MAP = np.where(MAP == 255, 255, np.where(MAP == 2, 3, MAP)).astype(np.uint8)


def palette_map(values):
    image = Image.fromarray(values, mode='P')
    image.putpalette([(k * 37 + c * 11) % 256 for k in range(256) for c in range(3)])
    file = io.BytesIO()
    image.save(file, 'PNG')
    return file.getvalue()


POINTS = {
    'a.png': [(4.5, 3.5, 'bar'), (5.25, 9.0, 'block'), (15.5, 11.5, 'background')],
    'b.png': [(0.5, 0.5, 'bar')],
}
SOURCES = [
    SourceImage(name, *SIZE, [SourcePoint(*point, f'{name}') for point in points], name)
    for name, points in POINTS.items()
]
RLE = encode_rle(MAP == 1)
RUNS = {'size': list(SIZE), 'counts': [26, 4, 8, 4, SIZE[0] * SIZE[1] - 42]}


def coco(annotations):
    return dict(
        images=[
            dict(id=index, file_name=name, height=SIZE[0], width=SIZE[1])
            for index, name in enumerate(POINTS, start=1)
        ],
        categories=[dict(id=index, name=name) for index, name in enumerate(CLASSES, start=1)],
        annotations=annotations,
    )


def instance(index, image_id, category_id, segmentation, bbox=(2, 2, 8, 4), **more):
    return dict(
        id=index,
        image_id=image_id,
        category_id=category_id,
        segmentation=segmentation,
        bbox=list(bbox),
        area=bbox[2] * bbox[3],
        iscrowd=0,
        **more,
    )


INSTANCES = coco(
    [
        instance(1, 1, 1, RLE),
        instance(2, 1, 2, [[3, 7, 8, 7, 8, 11, 3, 11]], (3, 7, 5, 4)),
        instance(3, 2, 2, RUNS, (2, 2, 2, 4)),
    ]
)
LABELS = {
    'info': {'description': 'labels'},
    **coco(
        [
            instance(1, 1, 1, RLE, score=0.9, point=[4.5, 3.5], point_id=1, click_score=0.5),
            instance(2, 2, 2, RLE, score=0.25, point=[5.0, 3.0], point_id=3),
        ]
    ),
    'dropped_points': [
        dict(image_id=1, category_id=2, point=[1.5, 1.5], point_id=2, reason='no_region')
    ],
}
POINT_JSON = assemble_point_json(SOURCES, classes=CLASSES)[0]
VOC_POINTS = {'points/a.txt': b'4 3 0 1\n5.25 8.5 1.0\n', 'points/b.txt': b'0 0 0 0.5\n'}


def valid(points, height, width):
    for x, y in points:
        assert math.isfinite(x) and math.isfinite(y), (x, y)
        assert 0 <= x <= width and 0 <= y <= height, (x, y)


def read_point_file(folder, name):
    """Read a points file as the commands do, and check what comes out."""
    content = read_points(folder / name, folder / 'img')
    size = {image['id']: (image['height'], image['width']) for image in content['images']}
    for annotation in content['annotations']:
        valid([annotation['point']], *size[annotation['image_id']])
    for image in content['images']:
        valid(image.get('background_points', []), *size[image['id']])
    json.dumps(content, allow_nan=False).encode()


def written(name, suffix, **options):
    """The file of a format, as its writer writes it."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f'points{suffix}'
        FORMATS[name].write(SOURCES, path, **options)
        if path.is_dir():
            return {f'points/{file.name}': file.read_bytes() for file in path.iterdir()}
        return {f'points{suffix}': path.read_bytes()}


def points_of(name, files):
    """A reader of a points file beside images."""
    target = 'points' if next(iter(files)).startswith('points/') else next(iter(files))
    return Reader(
        f'points-{name}',
        {**IMAGES, **files},
        lambda folder: read_point_file(folder, target),
        fuzzed=tuple(files),
        renames=True,
    )


MINIMAL_ROWS = [
    dict(
        id=1,
        image='/data/upload/1/a.png',
        annotation_id=4,
        label=[
            dict(x=30, y=25.5, original_width=16, original_height=12, keypointlabels=['bar']),
        ],
    ),
    dict(id=2, image='b.png', annotation_id=5),
]


TABLES = {
    'decimal-comma': ('sep=;\nfile;x;y;class\na.png;4,5;3,5;bar\nb;1;2;block\n', 'utf-8'),
    'utf-16': ('file\tx\ty\tclass\na.png\t4.5\t3.5\tbar\nb.png\t1\t2\tblock\n', 'utf-16'),
    'qupath': (
        'Image\tObject ID\tName\tClass\tParent\tROI\tCentroid X px\tCentroid Y px\n'
        'a.png\t0f-1\tPathDetectionObject\tbar\tRoot\tPoint\t3.5\t2.5\n'
        'b.png\t0f-2\t\tblock\tRoot\tPoint\t9\t6\n',
        'utf-8',
    ),
    'imagej': (
        ' ,Label,X,Y,Counter,Count\n1,a.png,3.5,2.5,0,1\n2,b.png:0001-0003,9,6,1,1\n',
        'utf-8',
    ),
    'makesense': ('bar,4,3,a.png,16,12\nblock,12,8,b.png,16,12', 'utf-8'),
    'via': (
        'filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,'
        'region_attributes\n'
        'a.png,120,"{}",1,0,"{""name"":""point"",""cx"":4,""cy"":3}","{""class"":""bar""}"\n'
        'b.png,120,"{}",1,0,"{""name"":""point"",""cx"":9,""cy"":6}",'
        '"{""class"":{""block"":true,""bar"":false}}"\n',
        'utf-8',
    ),
    'deepforest': ('image_path,x,y,label\na.png,3.5,2.5,bar\nb.png,9.0,6.0,block\n', 'utf-8'),
}


def build(dataset, **options):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return dataset(**options)


def point_coco(folder):
    dataset = build(
        PointCocoDataset,
        data_root=str(folder),
        ann_file='points.json',
        data_prefix=dict(img='img', seg_map='maps'),
        pipeline=[],
    )
    load_all(dataset)


def point_voc(folder):
    dataset = build(
        PointVOCDataset,
        data_root=str(folder),
        ann_file='list.txt',
        img_suffix='.png',
        data_prefix=dict(img='img', points='points', seg_map='maps'),
        metainfo=dict(classes=CLASSES),
        pipeline=[],
    )
    load_all(dataset)


def load_all(dataset):
    """Load points and maps of all images, as the pipelines do."""
    load = LoadPointAnnotations()
    for index in range(len(dataset)):
        entry = dataset.get_data_info(index)
        entry['img_shape'] = image_size(entry['img_path'])
        results = load({**entry, 'num_classes': dataset.num_classes})
        valid(results['ori_points'].points.tolist(), *entry['img_shape'])
        assert np.isfinite(results['gt_bboxes'].tensor.numpy()).all()


def stage2(folder):
    """As a command does: the files of the config are checked before the data set is built."""
    dataset = dict(
        type='mmp2seg.PseudoLabelCocoDataset',
        data_root=str(folder),
        ann_file='labels.json',
        data_prefix=dict(img='img'),
        metainfo=dict(classes=CLASSES),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmp2seg.LoadPseudoLabels'),
            dict(type='mmp2seg.FilterPseudoLabels', min_gt_bbox_wh=(1, 1)),
            dict(type='mmp2seg.PackPseudoLabels'),
        ],
    )
    cfg = Config(dict(default_scope='mmdet', train_dataloader=dict(dataset=dataset)))
    load_images_by_name(list(cfg.values()))
    check_label_files(cfg)
    check_data_files(cfg, ('train',))
    options = {key: value for key, value in dataset.items() if key not in ('type', 'pipeline')}
    built = build(PseudoLabelCocoDataset, **options, pipeline=cfg.train_dataloader.dataset.pipeline)
    for index in range(len(built)):
        built.prepare_data(index)


def read_labels(folder):
    labels = PseudoLabels.load(folder / 'labels.json')
    for image in labels:
        assert image.masks.shape[1:] == SIZE
    labels.statistics()
    labels.filter(min_score=0.5)
    labels.merge()
    labels.save(folder / 'out.json')


def evaluate_labels(folder):
    truth = TruthFile(folder / 'truth.json')
    ious, _ = compare_files(PseudoLabels.load(folder / 'labels.json').to_coco(), truth)
    assert ((ious >= 0) & (ious <= 1)).all()


def evaluate_predictions(folder):
    predictions = PredictionFile(folder / 'results.json', TruthFile(folder / 'truth.json'))
    for image_id in predictions.image_ids:
        predictions.of_image(image_id)


MASKS = coco([{**ann, 'point_id': ann['id'], 'score': 0.5} for ann in INSTANCES['annotations'][:2]])


def masks_to_maps(folder):
    point_masks_to_maps(folder / 'masks.json', folder / 'points.json', folder / 'out')


def mask_folder_to_maps(folder):
    point_masks_to_maps(folder / 'masks', folder / 'points.json', folder / 'out')


def read_map(folder):
    for path in sorted((folder / 'maps').iterdir()):
        assert read_index_png(path).dtype == np.uint8


def read_colour_map(folder):
    for path in sorted(folder.iterdir()):
        read_index_png(path, from_palette=True)


def colour_table(folder):
    colours, _ = read_colour_table([str(folder / 'labelmap.txt')])
    import_semantic_maps(
        folder / 'maps', folder / 'out', image_dir=folder / 'img', num_classes=2, colours=colours
    )


def merge_and_split(folder):
    merge_files([folder / 'a.json', folder / 'b.json'], folder / 'out.json')
    split_file(folder / 'out.json', 2, folder / 'parts')


def stream(folder):
    for _ in stream_json_object(folder / 'a.json', lists=('images', 'annotations'), skip=('info',)):
        pass


def shards_file():
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        shards = LabelShards(f'{folder}/out.json', run=['run', 1])
        for image in LABELS['images']:
            parts = (
                [entry for entry in LABELS[part] if entry['image_id'] == image['id']]
                for part in ('annotations', 'dropped_points')
            )
            shards.add(ImageEntries(image, *parts))
        shards.close()
        return Path(f'{folder}/out.json.shards/00000.jsonl').read_bytes()


def go_on_with_shards(folder):
    """Go on with a label run that was killed, as generate_pseudo_labels.py does."""
    outfile = folder / 'out.json'
    finished = finished_images(outfile, ['run', 1])
    shards = LabelShards(outfile, run=['run', 1])
    for image in LABELS['images']:
        if image['id'] not in finished:
            shards.add(ImageEntries(image, [], []))
    shards.close()
    joined = shards.joined([len(shards)])
    write_labels(outfile, lambda: joined, categories=LABELS['categories'], info={})
    PseudoLabels.load(outfile)


def import_maps(folder):
    import_semantic_maps(folder / 'maps', folder / 'out', image_dir=folder / 'img', num_classes=2)


def remap(folder):
    mapping = read_mapping_file(folder / 'mapping.txt')
    remap_maps(folder / 'maps', folder / 'out', mapping=mapping)


def voc_masks(folder):
    convert_voc_masks(folder, folder / 'out', classes=CLASSES)


def read_image(folder):
    for path in sorted((folder / 'img').iterdir()):
        size, shape = image_size(path), read_rgb(path).shape[:2]
        # OpenCV obeys a rotation in a broken block of EXIF, which Pillow does not
        assert sorted(shape) == sorted(size), (size, shape)


def checkpoint(folder):
    """Load a checkpoint as the commands do."""
    path = folder / 'net.pth'
    require_weights(path)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    with weights_only():
        load_weights(model, str(path))


def journal(folder):
    with Journal(folder / 'work.partial', ['plan', 1]) as file:
        file.add('new', {'a': 1})
        assert file.entries['new'] == {'a': 1}


def sbd(folder):
    read_sbd_maps(folder, 'a', num_classes=2)


def training_log(folder):
    read_training_log(folder)


def saved(content, **options):
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def mat(name, **fields):
    file = io.BytesIO()
    scipy.io.savemat(file, {name: fields}, do_compression=True)
    return file.getvalue()


COLOURS = np.array([[0, 0, 0], [250, 0, 10], [0, 128, 255]], np.uint8)


def halves(content):
    """A json of points or labels as two, each with one of the images."""
    lists = [part for part in ('annotations', 'dropped_points') if part in content]
    return [
        {
            **content,
            'images': [image],
            **{
                part: [entry for entry in content[part] if entry['image_id'] == image['id']]
                for part in lists
            },
        }
        for image in content['images']
    ]


STATE = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).state_dict()
CONTENT = dict(meta=dict(epoch=1, dataset_meta=dict(classes=CLASSES)), state_dict=STATE)
_JPEG = encoded(PIXELS, '.jpg')
_ROTATED = Image.Exif()
_ROTATED[0x0112] = 6
MAPS = {'maps/a.png': palette_map(MAP), 'maps/b.png': encoded(MAP)}
LOG_LINES = [
    dict(lr=0.01, loss=1.5, loss_seg=1.0, iter=10, step=10, memory=5),
    dict(mIoU=50.0, step=10),
    dict(lr=0.01, loss=1.25, loss_seg=0.5, iter=20, step=20, memory=5),
]
_LOG = ''.join(f'{json.dumps(line)}\n' for line in LOG_LINES).encode()

READERS = [
    points_of('point-json', {'points.json': as_json(POINT_JSON)}),
    points_of('csv', written('csv', '.csv')),
    points_of('cvat', written('cvat', '.xml')),
    points_of('labelme', written('labelme', '')),
    points_of('label-studio', written('label-studio', '.json')),
    points_of('label-studio-min', {'points.json': as_json(MINIMAL_ROWS)}),
    points_of('coco-keypoints', written('coco-keypoints', '.json')),
    *(points_of(name, {'points.csv': text.encode(code)}) for name, (text, code) in TABLES.items()),
    Reader(
        'point-coco-dataset',
        {**IMAGES, **MAPS, 'points.json': as_json(POINT_JSON)},
        point_coco,
        fuzzed=('points.json', 'points.json', *MAPS),
    ),
    Reader(
        'point-voc-dataset',
        {**IMAGES, **MAPS, **VOC_POINTS, 'list.txt': b'a\nb 0\n'},
        point_voc,
        fuzzed=('list.txt', *VOC_POINTS, *MAPS),
        renames=True,
    ),
    Reader(
        'point-store',
        {'points.json': as_json(POINT_JSON)},
        lambda folder: PointStore(folder / 'points.json', list(POINTS), CLASSES).counts(),
    ),
    Reader(
        'instances-to-points',
        {'truth.json': as_json(INSTANCES)},
        lambda folder: convert_instances(
            folder / 'truth.json', folder / 'out.json', rule=PointRule('mass-center')
        ),
    ),
    Reader(
        'coco-maps',
        {'truth.json': as_json(INSTANCES)},
        lambda folder: coco_semantic_maps(folder / 'truth.json', folder / 'out'),
    ),
    Reader(
        'category-mapping',
        {'truth.json': as_json(INSTANCES)},
        lambda folder: read_category_mapping(folder / 'truth.json'),
    ),
    Reader(
        'point-masks',
        {
            'points.json': as_json(POINT_JSON),
            'masks.json': as_json(MASKS),
        },
        masks_to_maps,
    ),
    Reader(
        'point-masks-results',
        {
            'points.json': as_json(POINT_JSON),
            'masks.json': as_json(
                [dict(image_id=1, category_id=1, segmentation=RLE, predicted_iou=0.5)]
            ),
        },
        masks_to_maps,
        fuzzed=('masks.json',),
    ),
    Reader(
        'point-masks-folder',
        {
            'points.json': as_json(POINT_JSON),
            'masks/a.json': as_json([dict(segmentation=RLE, stability_score=0.5)]),
            'masks/b.json': as_json(dict(annotations=[dict(segmentation=RUNS)])),
        },
        mask_folder_to_maps,
        renames=True,
    ),
    Reader('labels', {'labels.json': as_json(LABELS)}, read_labels),
    Reader(
        'stage-2-dataset',
        {**IMAGES, 'labels.json': as_json(LABELS)},
        stage2,
        fuzzed=('labels.json',) * 6 + tuple(IMAGES),
    ),
    Reader(
        'evaluate-labels',
        {'labels.json': as_json(LABELS), 'truth.json': as_json(INSTANCES)},
        evaluate_labels,
    ),
    Reader(
        'evaluate-predictions',
        {
            'truth.json': as_json(INSTANCES),
            'results.json': as_json(
                [dict(image_id=1, category_id=1, segmentation=RLE, score=0.5, bbox=[2, 2, 8, 4])]
            ),
        },
        evaluate_predictions,
    ),
    Reader('index-png', MAPS, read_map),
    Reader('colour-map', {'a.png': encoded(voc_palette()[MAP])}, read_colour_map),
    Reader('semantic-folder', {**IMAGES, **MAPS}, import_maps, renames=True),
    Reader('remapped-maps', {**MAPS, 'mapping.txt': b'1 2 # a\n2 1\n'}, remap, renames=True),
    Reader(
        'voc-maps',
        {
            'JPEGImages/a.jpg': _JPEG,
            'SegmentationObject/a.png': palette_map(OBJECT_MAP),
            'SegmentationClass/a.png': palette_map(MAP),
            'ImageSets/Segmentation/train.txt': b'a\n',
        },
        voc_masks,
        renames=True,
    ),
    Reader(
        'image-list',
        {'list.txt': b'a\nb 1 0\nsub/c\n'},
        lambda folder: read_image_list(folder / 'list.txt'),
    ),
    Reader(
        'image-classes',
        {'classes.txt': b'a 0 1\nb\n'},
        lambda folder: read_image_classes(folder / 'classes.txt', num_classes=2),
    ),
    Reader(
        'class-names',
        {'names.txt': 'bar\nblöck\n'.encode()},
        lambda folder: resolve_classes([str(folder / 'names.txt')]),
    ),
    Reader(
        'images',
        {
            'img/a.jpg': _JPEG,
            'img/b.jpg': encoded(PIXELS, '.jpg', exif=_ROTATED.tobytes()),
            'img/c.png': encoded(PIXELS),
            'img/d.png': cv2.imencode('.png', PIXELS.astype(np.uint16) * 200)[1].tobytes(),
            'img/e.tif': encoded(PIXELS, '.tif'),
            'img/f.bmp': encoded(PIXELS, '.bmp'),
            'img/g.webp': encoded(PIXELS, '.webp'),
        },
        read_image,
    ),
    Reader('checkpoint', {'net.pth': saved(CONTENT)}, checkpoint),
    Reader(
        'checkpoint-legacy',
        {'net.pth': saved(CONTENT, _use_new_zipfile_serialization=False)},
        checkpoint,
    ),
    Reader(
        'released-checkpoint',
        {'net.pth': saved(dict(model=dict(STATE)))},
        lambda folder: read_released(folder / 'net.pth'),
    ),
    Reader(
        'journal',
        {'work.partial': b'["plan", 1]\n["a", {"b": [1, 2.5]}]\n["c", null]\n'},
        journal,
    ),
    Reader(
        'sbd',
        {
            'inst/a.mat': mat(
                'GTinst', Segmentation=np.where(MAP > 2, 0, MAP), Categories=np.array([[1], [2]])
            ),
            'cls/a.mat': mat('GTcls', Segmentation=np.where(MAP > 2, 0, MAP)),
        },
        sbd,
    ),
    Reader('training-log', {'20240101_000000/vis_data/scalars.json': _LOG}, training_log),
    Reader(
        'settings',
        {'config.py': b"a = dict(b=[1, 2.5, 'c'], d=None)\ne = 'f'\n_base_ = ['x.py']\n"},
        lambda folder: read_settings(folder / 'config.py'),
    ),
    Reader(
        'colour-table',
        {
            **IMAGES,
            'labelmap.txt': b'# label:color:parts:actions\nbackground:0,0,0::\nbar:250,0,10::\n'
            b'block:0,128,255::\n',
            'maps/a.png': encoded(COLOURS[MAP % 255]),
            'maps/b.png': encoded(COLOURS[MAP % 255]),
        },
        colour_table,
        fuzzed=('labelmap.txt', 'labelmap.txt', 'maps/a.png'),
    ),
    Reader(
        'merged-labels',
        {f'{name}.json': as_json(part) for name, part in zip('ab', halves(LABELS), strict=True)},
        merge_and_split,
    ),
    Reader(
        'merged-points',
        {
            f'{name}.json': as_json(part)
            for name, part in zip('ab', halves(POINT_JSON), strict=True)
        },
        merge_and_split,
    ),
    Reader('json-stream', {'a.json': as_json(LABELS)}, stream),
    Reader('label-shards', {'out.json.shards/00000.jsonl': shards_file()}, go_on_with_shards),
    Reader(
        'config',
        {
            'config.py': b"_base_ = ['base.py']\na = dict(b=[1, 2.5, 'c'], d=None)\ne = 'f'\n",
            'base.py': b'a = dict(g={1: 2})\nh = [dict(i=1), (2, 3)]\n',
        },
        lambda folder: read_config(folder / 'config.py'),
    ),
    Reader('json', {'a.json': as_json(LABELS)}, lambda folder: read_json(folder / 'a.json')),
]
