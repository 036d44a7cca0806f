"""The data pipeline of training: images per second of one worker."""

from collections.abc import Callable, Mapping
from pathlib import Path

from mmengine.runner import set_random_seed

from mmp2seg.analysis.benchmarks.network import load_config
from mmp2seg.datasets.shapes.dataset import SHAPES_CLASSES, write_shapes
from mmp2seg.registry import DATASETS


def write_images(root: Path, *, num_images: int, size: tuple[int, int]) -> None:
    """Generated images with points and weak maps, in the layout of VOC."""
    write_shapes(root, num_train=num_images, num_val=0, size=size, overwrite=True)


def make_pipeline_call(options: Mapping) -> Callable[[], object]:
    """Read every image once through the training pipeline.

    Args:
        options: ``config`` and ``cfg_options`` as of
            :func:`mmp2seg.analysis.benchmarks.network.make_training_step`; ``root``, of
            :func:`write_images`.
    """
    cfg = load_config(options)
    dataset_cfg = cfg.train_dataloader.dataset
    dataset_cfg.update(
        data_root=str(options['root']),
        ann_file='ImageSets/Segmentation/train.txt',
        data_prefix=dict(img='JPEGImages', points='Center_points', seg_map='WSSS_maps'),
        metainfo=dict(classes=SHAPES_CLASSES),
    )
    dataset = DATASETS.build(dataset_cfg)

    def read() -> int:
        set_random_seed(0)
        return len([dataset[index] for index in range(len(dataset))])

    return read
