"""A P2Seg network of a few thousand parameters and a dataset of three small images."""

from pathlib import Path

import numpy as np
from PIL import Image

TINY_CLASSES = ('bar', 'block')


def write_tiny_voc(root: Path, *, size: tuple[int, int] = (40, 48)) -> dict:
    """Write three images in VOC layout.

    The first has two touching bars and a block, the second a block, the third nothing.

    Args:
        root: an existing folder.
        size: ``(H, W)`` of the images, at least 32 x 32.

    Returns:
        dict: arguments of a point dataset: ``data_root``, ``ann_file``, ``data_prefix``,
        ``metainfo``.
    """
    height, width = size
    rng = np.random.default_rng(0)
    maps = {name: np.zeros(size, dtype=np.uint8) for name in ('img_1', 'img_2', 'img_3')}
    maps['img_1'][4:12, 4:28] = 1
    maps['img_1'][20:30, 10:20] = 2
    maps['img_2'][8:24, 8:30] = 2
    maps['img_2'][0, :] = 255
    points = {
        'img_1': '8 8 0 1.0\n23 8 0 0.5\n14 25 1 1.0\n',
        'img_2': '20 12 1 1.0\n',
        'img_3': '',
    }
    for folder in ('JPEGImages', 'WSSS_maps', 'Center_points', 'ImageSets'):
        (root / folder).mkdir()
    for name, semantic_map in maps.items():
        noise = rng.integers(0, 60, (height, width, 3))
        image = np.minimum(semantic_map[..., None] * 90 + noise, 255).astype(np.uint8)
        Image.fromarray(image).save(root / 'JPEGImages' / f'{name}.jpg')
        Image.fromarray(semantic_map).save(root / 'WSSS_maps' / f'{name}.png')
        (root / 'Center_points' / f'{name}.txt').write_text(points[name])
    (root / 'ImageSets' / 'train.txt').write_text('\n'.join(maps) + '\n')
    return dict(
        data_root=str(root),
        ann_file='ImageSets/train.txt',
        data_prefix=dict(img='JPEGImages', points='Center_points', seg_map='WSSS_maps'),
        metainfo=dict(classes=TINY_CLASSES),
    )


def tiny_p2seg_config(*, num_classes: int = 2, **overrides) -> dict:
    """Return the config of a P2Seg on a small U-Net of stride 2.

    Args:
        num_classes: number of classes, without background.
        **overrides: entries of the model's config to replace.

    Returns:
        dict: config for ``MODELS.build``, valid under any default scope.
    """
    head = dict(in_channels=4, channels=8, in_index=-1)
    config = dict(
        type='mmp2seg.P2Seg',
        data_preprocessor=dict(
            type='mmp2seg.PointDataPreprocessor',
            mean=[127.5] * 3,
            std=[60.0] * 3,
            bgr_to_rgb=True,
            pad_size_divisor=16,
        ),
        backbone=dict(
            type='mmseg.UNet',
            base_channels=4,
            num_stages=3,
            strides=(2, 1, 1),
            enc_num_convs=(1, 1, 1),
            dec_num_convs=(1, 1),
            downsamples=(True, True),
            enc_dilations=(1, 1, 1),
            dec_dilations=(1, 1),
            upsample_cfg=dict(type='mmseg.InterpConv'),
            norm_cfg=dict(type='BN'),
        ),
        semantic_head=dict(type='mmp2seg.SemanticHead', num_classes=num_classes, **head),
        offset_head=dict(type='mmp2seg.OffsetHead', **head),
        affinity_head=dict(type='mmp2seg.AffinityHead', **head),
        labeler=dict(type='mmp2seg.PointPseudoLabeler'),
    )
    return {**config, **overrides}
