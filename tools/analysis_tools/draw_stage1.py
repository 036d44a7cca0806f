"""Draw the outputs of stage 1 for some images of a dataset, one PNG per image.

Example: python tools/analysis_tools/draw_stage1.py CONFIG CHECKPOINT --out-dir pictures --num 8
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_cfg_options,
    add_device_argument,
    add_trust_argument,
    make_parser,
    require_outputs,
    run_command,
)
from mmp2seg.apis.device import resolve_device, select_device


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('config', help='stage-1 config')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('--out-dir', required=True, type=Path, help='folder of the pictures')
    parser.add_argument('--num', type=int, default=10, help='images, spread over the dataset')
    parser.add_argument('--truth', help='COCO json with the true instances, to draw beside')
    parser.add_argument(
        '--split',
        choices=('train', 'val', 'test'),
        default='test',
        help='the dataset to draw; always through the pipeline of the test set',
    )
    parser.add_argument(
        '--no-weak-map', action='store_true', help='for a dataset without weak maps'
    )
    add_device_argument(parser)
    add_trust_argument(parser)
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    require_outputs(folders=[args.out_dir])
    import torch
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import init_default_scope

    from mmp2seg.apis.drawing import build_dataset, build_model, spread_indices
    from mmp2seg.apis.runner import load_config, require_checkpoint
    from mmp2seg.evaluation.functional.truth_file import TruthFile
    from mmp2seg.files.image_reading import read_rgb
    from mmp2seg.visualization.panels import picture_path, write_png
    from mmp2seg.visualization.stage1_panels import draw_stage1

    cfg = load_config(args.config, cfg_options=args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    model = build_model(cfg, require_checkpoint(args.checkpoint), resolve_device(args.device))
    dataset = build_dataset(cfg, args.split, with_weak_map=not args.no_weak_map)
    truth = TruthFile(args.truth) if args.truth else None
    for index in spread_indices(len(dataset), args.num):
        with torch.no_grad():
            data_sample = model.test_step(pseudo_collate([dataset[index]]))[0]
        image = read_rgb(data_sample.img_path)
        annotations = truth and [
            {**annotation, 'segmentation': truth.rle_of(annotation)}
            for annotation in truth.annotations_of(data_sample.img_id)
        ]
        palette = dataset.metainfo.get('palette')
        out_file = picture_path(args.out_dir, data_sample.get('file_name', data_sample.img_path))
        write_png(out_file, draw_stage1(image, data_sample, annotations, palette=palette))
        print(out_file)


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
