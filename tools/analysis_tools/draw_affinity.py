"""Draw the affinity of a trained network and what it makes of semantic maps, one PNG per image.

Upper row: the image with its points, and the affinity of the first points to all pixels (0 dark, 1
yellow). Lower row: the weak map, the network's map, and both after propagation by the affinity.

Example: python tools/analysis_tools/draw_affinity.py CONFIG CHECKPOINT pictures --num 8
"""

import argparse
import math
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    add_cfg_options,
    add_device_argument,
    add_trust_argument,
    make_parser,
    require_outputs,
    run_command,
)
from mmp2seg.apis.device import resolve_device, select_device

if TYPE_CHECKING:
    import numpy as np
    from mmdet.structures import DetDataSample
    from mmengine.config import Config
    from mmengine.model import BaseModel

    from mmp2seg.analysis.affinity_inspection import AffinityView, TrueInstances
    from mmp2seg.evaluation.functional.truth_file import TruthFile
    from mmp2seg.visualization.panels import Palette

NUM_HEAT_MAPS = 3


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('config', help='stage-1 config with an affinity head')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('out_dir', type=Path, help='folder of the pictures')
    parser.add_argument('--num', type=int, default=8, help='images, spread over the dataset')
    parser.add_argument(
        '--truth',
        help='COCO json with the true instances: drawn, and used for the figures instead of the '
        "network's instances",
    )
    parser.add_argument(
        '--split',
        choices=('train', 'test'),
        default='test',
        help='the dataset to draw; always through the pipeline of the test set',
    )
    parser.add_argument(
        '--points-only', action='store_true', help='draw the upper row only; needs no weak maps'
    )
    add_device_argument(parser)
    add_trust_argument(parser)
    add_cfg_options(parser)
    return parser.parse_args(argv)


def draw(view: 'AffinityView', palette: 'Palette') -> 'np.ndarray':
    """The picture of one image."""
    import cv2

    from mmp2seg.files.image_reading import read_rgb
    from mmp2seg.visualization.affinity_panels import affinity_row, join_rows, semantic_row

    image = read_rgb(view.img_path)
    image = cv2.resize(image, view.size[::-1], interpolation=cv2.INTER_AREA)
    chosen = slice(NUM_HEAT_MAPS)
    upper = affinity_row(
        image,
        view.points_xy,
        view.labels,
        view.cells[chosen],
        view.affinity[chosen],
        palette=palette,
        padded_size=view.padded_size,
    )
    return join_rows(upper, semantic_row(view.semantic_maps, palette))


def format_figures(figures: dict[str, float]) -> str:
    """Mean affinities in one line, '-' for undefined ones."""
    texts = ('-' if math.isnan(value) else f'{value:.3f}' for value in figures.values())
    return ', '.join(f'{name} {text}' for name, text in zip(figures, texts, strict=True))


def mean_figures(figures: list[dict[str, float]]) -> dict[str, float]:
    """Mean over images of each figure, without the images where it is undefined."""
    from mmp2seg.analysis.affinity_inspection import RELATIONS

    columns = {name: [image[name] for image in figures] for name in RELATIONS}
    defined = {name: [v for v in column if not math.isnan(v)] for name, column in columns.items()}
    return {
        name: statistics.fmean(values) if values else math.nan for name, values in defined.items()
    }


def load_model(cfg: 'Config', checkpoint: str, device: str) -> 'BaseModel':
    """Load the network; the checkpoint must hold all weights, as random ones give an affinity too.

    Raises:
        CommandError: the checkpoint does not fit, or the network has no affinity head.
    """
    from mmp2seg.analysis.affinity_inspection import require_affinity_head
    from mmp2seg.apis.drawing import build_model
    from mmp2seg.apis.runner import require_checkpoint

    try:
        model = build_model(cfg, require_checkpoint(checkpoint), device, strict=True)
    except RuntimeError as error:
        raise CommandError(f'{checkpoint} does not fit the config: {error}') from error
    require_affinity_head(model)
    return model


def true_instances(
    truth: 'TruthFile', sample: 'DetDataSample', classes: list[str]
) -> 'TrueInstances':
    """True instances of the image of a data sample, as ``truth_instance_map`` returns them."""
    from mmp2seg.evaluation.functional.truth_maps import truth_instance_map

    height, width = sample.ori_shape[:2]
    annotations = truth.annotations_of(sample.img_id)
    return truth_instance_map(
        annotations,
        truth.labels_of(classes),
        height=height,
        width=width,
        where=truth.place_of(sample.img_id),
    )


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    require_outputs(folders=[args.out_dir])
    from mmengine.registry import init_default_scope

    from mmp2seg.analysis.affinity_inspection import inspect_affinity
    from mmp2seg.apis.drawing import build_dataset, spread_indices
    from mmp2seg.apis.runner import load_config
    from mmp2seg.evaluation.functional.truth_file import TruthFile
    from mmp2seg.visualization.panels import distinct_colors, picture_path, write_png

    cfg = load_config(args.config, cfg_options=args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    model = load_model(cfg, args.checkpoint, resolve_device(args.device))
    truth = TruthFile(args.truth) if args.truth else None
    dataset = build_dataset(cfg, args.split, with_weak_map=not args.points_only)
    classes = list(dataset.metainfo['classes'])
    palette = dataset.metainfo.get('palette') or distinct_colors(len(classes))
    figures = []
    for index in spread_indices(len(dataset), args.num):
        data = dataset[index]
        sample = data['data_samples']
        instances = true_instances(truth, sample, classes) if truth else None
        view = inspect_affinity(model, data, truth=instances, with_maps=not args.points_only)
        out_file = picture_path(args.out_dir, sample.get('file_name', sample.img_path))
        write_png(out_file, draw(view, palette))
        figures.append(view.figures)
        points = f'{view.num_owned} of {len(view.labels)} points'
        print(f'{out_file}: {points}: {format_figures(view.figures)}')
    print(f'mean of {len(figures)} images: {format_figures(mean_figures(figures))}')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
