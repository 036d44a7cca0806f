"""Draw what the affinity of a trained network says and does (I2S), one PNG per image.

Upper row: the image with its points, and the affinity of the first points to all pixels (0 dark, 1
yellow). Lower row: the weak map, the network's own map, and both after propagation by the affinity.

Example: python tools/analysis_tools/draw_affinity.py CONFIG CHECKPOINT pictures --num 8
"""

import argparse
import sys
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config, DictAction
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.analysis.affinity_inspection import (
    AffinityView,
    inspect_affinity,
    require_affinity_head,
)
from mmp2seg.analysis.affinity_of_points import RELATIONS
from mmp2seg.apis.arguments import CommandError, run_command
from mmp2seg.apis.drawing import build_dataset, build_model, spread_indices
from mmp2seg.apis.runner import load_config, require_checkpoint
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.evaluation.functional.truth_maps import truth_instance_map
from mmp2seg.visualization.affinity_panels import affinity_row, join_rows, semantic_row
from mmp2seg.visualization.panels import Palette, distinct_colors, write_png

NUM_HEAT_MAPS = 3


def parse_args(argv: list[str]) -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of stage 1, with an affinity head')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('out_dir', type=Path, help='folder of the pictures')
    parser.add_argument('--num', type=int, default=8, help='images, spread over the data set')
    parser.add_argument(
        '--truth',
        help='COCO json with the true instances: drawn, and taken for the figures in place of the '
        "network's own instances",
    )
    parser.add_argument(
        '--split',
        choices=('train', 'test'),
        default='test',
        help='the data set to draw; always through the pipeline of the test set',
    )
    parser.add_argument(
        '--points-only',
        action='store_true',
        help='the upper row alone; needs no weak maps',
    )
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='key=value ...')
    return parser.parse_args(argv)


def draw(view: AffinityView, palette: Palette) -> np.ndarray:
    """The picture of one image."""
    image = mmcv.imread(view.img_path, channel_order='rgb')
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
    """Mean affinities in one line, '-' for those that are undefined."""
    texts = ('-' if np.isnan(value) else f'{value:.3f}' for value in figures.values())
    return ', '.join(f'{name} {text}' for name, text in zip(figures, texts, strict=True))


def mean_figures(figures: list[dict[str, float]]) -> dict[str, float]:
    """Mean over images of each figure; images where it is undefined do not count."""
    columns = {name: [image[name] for image in figures] for name in RELATIONS}
    defined = {name: [v for v in column if not np.isnan(v)] for name, column in columns.items()}
    return {name: float(np.mean(values)) if values else np.nan for name, values in defined.items()}


def load_model(cfg: Config, checkpoint: str, device: str) -> BaseModel:
    """The network, with all of its weights: an affinity of random ones would look like one."""
    try:
        model = build_model(cfg, require_checkpoint(checkpoint), device, strict=True)
    except RuntimeError as error:
        raise CommandError(f'{checkpoint} does not fit the config: {error}') from error
    require_affinity_head(model)
    return model


def true_instances(
    truth: TruthFile, sample: DetDataSample, classes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """True instances of the image of a data sample, as ``truth_instance_map`` returns them."""
    height, width = sample.ori_shape[:2]
    annotations = truth.annotations_of(sample.img_id)
    return truth_instance_map(
        annotations,
        truth.labels_of(classes),
        height=height,
        width=width,
        where=truth.place_of(sample.img_id),
    )


def draw_images(args: argparse.Namespace) -> None:
    """Write the pictures, print the figures."""
    cfg = load_config(args.config, cfg_options=args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    model = load_model(cfg, args.checkpoint, args.device)
    truth = TruthFile(args.truth) if args.truth else None
    dataset = build_dataset(cfg, args.split, with_weak_map=not args.points_only)
    classes = list(dataset.metainfo['classes'])
    palette = dataset.metainfo.get('palette') or distinct_colors(len(classes))
    figures = []
    for index in spread_indices(len(dataset), args.num):
        data = dataset[index]
        instances = true_instances(truth, data['data_samples'], classes) if truth else None
        view = inspect_affinity(model, data, truth=instances, with_maps=not args.points_only)
        out_file = args.out_dir / f'{Path(view.img_path).stem}.png'
        write_png(out_file, draw(view, palette))
        figures.append(view.figures)
        points = f'{view.num_owned} of {len(view.labels)} points'
        print(f'{out_file}: {points}: {format_figures(view.figures)}')
    print(f'mean of {len(figures)} images: {format_figures(mean_figures(figures))}')


def main(argv: list[str]) -> None:
    """Run the command line."""
    args = parse_args(argv)
    try:
        draw_images(args)
    except FileNotFoundError as error:
        raise CommandError(str(error)) from error


if __name__ == '__main__':
    run_command(main)
