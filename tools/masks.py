"""Masks for the points of your own images, without training and without semantic maps.

Reads a folder of images and a points file: a table with the columns file, x, y, class, a point
json, or the file of an annotation tool. Points of the class 'background' say where no object is.
Points without a mask are listed with the reason. An interrupted command goes on where it stopped
when it is started again.

Example: mmp2seg masks photos points.csv --out labels.json --maps maps --draw pictures
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    add_allow_empty_argument,
    add_cfg_options,
    add_classes_argument,
    add_device_argument,
    add_sam_weights_argument,
    add_skip_refused_argument,
    add_trust_argument,
    make_parser,
    require_outputs,
    run_command,
)
from mmp2seg.apis.device import resolve_device, select_device

CONFIGS = Path(__file__).resolve().parents[1] / 'configs' / 'point_segmenter'
# Config of each choice of --segmenter.
SEGMENTERS = {'points': CONFIGS / 'efficientnet-lite0.py', 'sam': CONFIGS / 'sam.py'}


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('images', metavar='IMAGES', help='folder of the images')
    parser.add_argument('points', metavar='POINTS', help='points file of any format')
    parser.add_argument(
        '--out', required=True, metavar='LABELS.json', help='the pseudo label json to write'
    )
    parser.add_argument(
        '--maps',
        metavar='FOLDER',
        help='also write semantic maps NAME.png for stage 1: 0 background, k+1 class k, 255 not '
        'sure',
    )
    parser.add_argument('--draw', metavar='FOLDER', help='also draw every image into this folder')
    parser.add_argument(
        '--object-size',
        type=_positive,
        metavar='PX',
        help='diameter of a typical object in pixels (default: the distance from each point to the '
        'nearest other one)',
    )
    add_classes_argument(
        parser, help='class k of the list is k+1 in the maps', default='those of the points file'
    )
    parser.add_argument(
        '--list-images', action='store_true', help='also take images of the folder without points'
    )
    add_skip_refused_argument(parser)
    add_allow_empty_argument(parser)
    parser.add_argument(
        '--segmenter',
        choices=list(SEGMENTERS),
        default='points',
        help='points: compare each pixel with the points, by the features of EfficientNet-Lite0; '
        'sam: SAM, SAM 2, SAM-HQ and others, whose three masks of a point are all kept in the json '
        '(default: points)',
    )
    add_sam_weights_argument(parser)
    parser.add_argument(
        '--config',
        help='another config of the point segmenter, a path or a config of the package; '
        'point_segmenter/efficientnet-lite0_class-head.py first trains a class head on the images',
    )
    parser.add_argument(
        '--network',
        nargs=2,
        metavar=('CONFIG', 'CHECKPOINT'),
        help='a stage-1 network trained on such maps: its maps are a second prior, and the clicks '
        'and the similarity of each pixel to them are kept',
    )
    add_cfg_options(parser)
    add_device_argument(parser)
    add_trust_argument(parser)
    return parser.parse_args(argv)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'expected more than 0, got {text}')
    return value


_positive.__name__ = 'float'  # argparse shows this name in its error for text that is not a number


def main(argv: list[str]) -> int:
    select_device(argv)
    args = parse_args(argv)
    check_outputs(args)
    require_outputs(folders=[args.maps, args.draw])
    # these import mmengine: after select_device
    from mmengine.utils import track_iter_progress

    from mmp2seg.apis.config_names import resolve_config
    from mmp2seg.apis.network_maps import NetworkMaps
    from mmp2seg.apis.point_masks import (
        build_point_segmenter,
        require_integer_ids,
        set_sam_weights,
        train_class_head,
        write_point_masks,
    )
    from mmp2seg.apis.predictions import describe_dropped
    from mmp2seg.apis.pseudo_labels import require_writable_json
    from mmp2seg.apis.runner import load_config
    from mmp2seg.converters.class_names import resolve_classes
    from mmp2seg.converters.points_file import read_points_and_report
    from mmp2seg.files.json_stream import read_json_without

    cfg = load_config(
        resolve_config(args.config or SEGMENTERS[args.segmenter]), cfg_options=args.cfg_options
    )
    set_sam_weights(cfg, args.weights)
    points, report = read_points_and_report(
        args.points,
        args.images,
        classes=None if args.classes is None else resolve_classes(args.classes),
        list_images=args.list_images,
        skip_refused=args.skip_refused,
        allow_empty=args.allow_empty,
    )
    require_integer_ids(points, where=args.points)
    print(report)
    outfile = require_writable_json(args.out)
    segmenter = build_point_segmenter(cfg, device=resolve_device(args.device))
    network = None
    if args.network is not None:
        network = NetworkMaps(
            load_config(args.network[0]), args.network[1], device=resolve_device(args.device)
        )
        if network.num_classes != len(points['categories']):
            raise CommandError(
                f'--network: expected {len(points["categories"])} classes as in {args.points}, got '
                f'{network.num_classes}'
            )
    if 'class_head_training' in cfg:
        print('training a class head on these images')
        train_class_head(
            segmenter, cfg.class_head_training, points, args.images, work_dir=cfg.work_dir
        )
    try:
        run = write_point_masks(
            segmenter,
            points,
            args.images,
            outfile=outfile,
            maps=args.maps,
            pictures=args.draw,
            object_size=args.object_size,
            network=network,
            info={
                'method': cfg.model.type,
                'options': cfg.model.to_dict(),
                'class_head_training': dict(cfg.get('class_head_training') or {}),
                'network': args.network,
            },
            track=track_iter_progress,
        )
    except KeyboardInterrupt:
        print('\nInterrupted. The same command continues from here.', file=sys.stderr)
        return 130
    print()
    print(
        '\n'.join(
            [run.describe(outfile), *describe_dropped(read_json_without(outfile, ['annotations']))]
        )
    )
    for name, folder in (('semantic maps', args.maps), ('pictures', args.draw)):
        if folder is not None:
            print(f'{name}: {folder}')
    return 0


def check_outputs(args: argparse.Namespace) -> None:
    """Check that no output replaces an input or another output.

    Raises:
        CommandError: it would.
    """
    images, points, out = (Path(path).resolve() for path in (args.images, args.points, args.out))
    if out == points:
        raise CommandError(f'--out: expected another file than the points, got {args.out}')
    folders = {'--maps': args.maps, '--draw': args.draw}
    for option, name in folders.items():
        if name is None:
            continue
        folder = Path(name).resolve()
        if folder.is_file():
            raise CommandError(f'{option}: expected a folder, got the file {name}')
        if folder == images or (args.list_images and folder.is_relative_to(images)):
            raise CommandError(f'{option}: expected a folder outside of the images, got {name}')
    if (
        None not in folders.values()
        and len({Path(name).resolve() for name in folders.values()}) == 1
    ):
        raise CommandError(f'--maps, --draw: expected different folders, got {args.maps}')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
