"""Draw what stage 1 makes of some images of a data set, one PNG per image.

Example: python tools/analysis_tools/draw_stage1.py CONFIG CHECKPOINT --out-dir pictures --num 8
"""

import argparse
import sys
from pathlib import Path

import mmcv
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.drawing import build_dataset, build_model, spread_indices
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.visualization.panels import write_png
from mmp2seg.visualization.stage1_panels import draw_stage1


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description='Draw the output of stage 1')
    parser.add_argument('config', help='config of stage 1')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('--out-dir', required=True, type=Path, help='folder of the pictures')
    parser.add_argument('--num', type=int, default=10, help='images, spread over the data set')
    parser.add_argument('--truth', help='COCO json with the true instances, drawn beside')
    parser.add_argument(
        '--split',
        choices=('train', 'val', 'test'),
        default='test',
        help='the data set to draw; always through the pipeline of the test set',
    )
    parser.add_argument(
        '--no-weak-map', action='store_true', help='for a data set that has no weak maps'
    )
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='key=value ...')
    return parser.parse_args()


def main() -> None:
    """Run the command line."""
    args = parse_args()
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    dataset = build_dataset(cfg, args.split, with_weak_map=not args.no_weak_map)
    model = build_model(cfg, args.checkpoint, args.device)
    truth = TruthFile(args.truth) if args.truth else None
    for index in spread_indices(len(dataset), args.num):
        with torch.no_grad():
            data_sample = model.test_step(pseudo_collate([dataset[index]]))[0]
        image = mmcv.imread(data_sample.img_path, channel_order='rgb')
        annotations = truth and [
            {**annotation, 'segmentation': truth.rle_of(annotation)}
            for annotation in truth.annotations_of(data_sample.img_id)
        ]
        palette = dataset.metainfo.get('palette')
        out_file = args.out_dir / f'{Path(data_sample.img_path).stem}.png'
        write_png(out_file, draw_stage1(image, data_sample, annotations, palette=palette))
        print(out_file)


if __name__ == '__main__':
    main()
