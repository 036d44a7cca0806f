"""Masks for the points of your own images, by a trained stage-1 network, as COCO json.

Points without a mask are listed with the reason. Example: python tools/predict.py CONFIG CHECKPOINT
--images photos --points points.json --semantic-maps maps --out labels.json --draw pictures
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    CommandError,
    add_tta_argument,
    command_parser,
    parse_command,
    require_outputs,
    run_command,
)
from mmp2seg.apis.device import resolve_device, select_device


def parse_args(argv: list[str]):
    parser = command_parser(__doc__)
    parser.add_argument('checkpoint', help='path or address of the checkpoint')
    parser.add_argument('--images', required=True, metavar='FOLDER', help='folder of the images')
    parser.add_argument(
        '--points',
        required=True,
        metavar='POINTS.json',
        help="points of the config's classes, as tools/dataset_converters/points_to_coco.py writes",
    )
    parser.add_argument(
        '--semantic-maps',
        metavar='FOLDER',
        help="weak semantic maps NAME.png, 0 background, k+1 the config's class k, 255 ignore "
        "(default: the maps of the config's point_segmenter; the network alone if the config has "
        'none, its model reads no maps, or in a distributed run)',
    )
    parser.add_argument('--out', required=True, metavar='LABELS.json', help='the json to write')
    parser.add_argument('--draw', metavar='FOLDER', help='also draw every image into this folder')
    add_tta_argument(parser)
    return parse_command(parser, argv)


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    # these import mmengine: after select_device
    from mmengine.dist import is_main_process
    from mmengine.utils import track_iter_progress

    from mmp2seg.apis import pseudo_labels, runner
    from mmp2seg.apis.predictions import set_prediction_data, write_point_maps

    cfg = runner.load_test_config(args)
    if args.draw is not None and Path(args.draw).is_file():
        raise CommandError(f'--draw: expected a folder, got the file {args.draw}')
    require_outputs(folders=[args.draw])
    outfile = pseudo_labels.require_writable_json(args.out)
    maps = args.semantic_maps
    if maps is None and args.launcher == 'none':
        folder = str(Path(cfg.work_dir) / 'point_maps')
        if write_point_maps(
            cfg,
            images=args.images,
            points=args.points,
            folder=folder,
            device=resolve_device(args.device),
            track=track_iter_progress,
        ):
            maps = folder
            print(
                f'\nsemantic maps made from the points: {maps} (--cfg-options '
                'point_segmenter=None: the network alone)'
            )
    set_prediction_data(cfg, images=args.images, points=args.points, semantic_maps=maps)
    pseudo_labels.set_label_run(cfg, split='test', outfile=outfile)
    figures = runner.run_test(cfg)
    if is_main_process():
        report(args, figures)


def report(args, figures: dict) -> None:
    """Print what was written, and draw it."""
    from mmengine.utils import track_iter_progress

    from mmp2seg.apis.predictions import describe_dropped, draw_labels
    from mmp2seg.apis.pseudo_labels import describe_labels
    from mmp2seg.files.json_stream import read_json_without
    from mmp2seg.pseudo_labels.coco_json import load

    if args.draw is not None:
        draw_labels(load(args.out), args.images, args.draw, track=track_iter_progress)
        print(f'\npictures: {args.draw}')
    labels = read_json_without(args.out, ['annotations'])
    print('\n'.join([describe_labels(args.out, figures), *describe_dropped(labels)]))


if __name__ == '__main__':
    run_command(main)
