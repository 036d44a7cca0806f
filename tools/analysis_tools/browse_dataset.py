"""Draw what a stage-1 network is fed: augmented images with points, regions and targets.

With --checkpoint, also the targets that this network refines in training. Example:
python tools/analysis_tools/browse_dataset.py CONFIG --out pictures --num 20
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
    at_least,
    make_parser,
    require_outputs,
    run_command,
)
from mmp2seg.apis.device import resolve_device, select_device


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('config', help='stage-1 config')
    parser.add_argument('--out', required=True, metavar='FOLDER', help='folder of the pictures')
    parser.add_argument(
        '--num', type=at_least(1), default=20, help='images, spread over the dataset (default: 20)'
    )
    parser.add_argument(
        '--checkpoint', metavar='CKPT', help='also draw the refined targets of this network'
    )
    parser.add_argument(
        '--seed', type=at_least(0), default=0, help='seed of the augmentation (default: 0)'
    )
    add_device_argument(parser)
    add_trust_argument(parser)
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    require_outputs(folders=[args.out])
    from mmengine.registry import init_default_scope
    from mmengine.runner import set_random_seed

    from mmp2seg.apis import drawing
    from mmp2seg.apis.pseudo_labels import stage1_model
    from mmp2seg.apis.runner import load_config, require_checkpoint
    from mmp2seg.codecs.building import build_codecs
    from mmp2seg.visualization.panels import (
        distinct_colors,
        picture_path,
        wrap_panels,
        write_png,
    )
    from mmp2seg.visualization.training_panels import training_panels

    cfg = load_config(args.config, cfg_options=args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    labeler, _ = build_codecs(stage1_model(cfg).get('labeler'), None)
    model = None
    if args.checkpoint is not None:
        checkpoint = require_checkpoint(args.checkpoint)
        model = drawing.build_model(cfg, checkpoint, resolve_device(args.device))
        labeler = model.labeler
    dataset = drawing.build_train_dataset(cfg)
    palette = dataset.metainfo.get('palette') or distinct_colors(len(dataset.metainfo['classes']))
    set_random_seed(args.seed)
    for index in drawing.spread_indices(len(dataset), args.num):
        item = dataset[index]
        sample = item['data_samples']
        panels = training_panels(
            drawing.input_as_rgb(cfg, item['inputs']),
            sample,
            labeler,
            refined=None if model is None else drawing.refined_targets(model, item),
            palette=palette,
        )
        # the index: a repeated dataset has an image several times, each time another crop
        name = f'{index:06d}_{Path(sample.get("file_name", sample.img_path)).name}'
        out_file = picture_path(args.out, name)
        write_png(out_file, wrap_panels(panels))
        print(out_file)


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
