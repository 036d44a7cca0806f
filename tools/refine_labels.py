"""Replace the masks of pseudo labels by those of SAM's candidates that agree with them.

SAM has three masks for a point: a part, the object, a group. The one of the largest IoU with the
mask in LABELS takes its place, if they agree enough; the border is then SAM's, the choice that of
the network that made LABELS. Prints how often each candidate was taken. SAM's own labels stay in
OUT.sam.json, and an interrupted command goes on where it stopped when it is started again.

Example: mmp2seg refine-labels labels.json photos --weights sam-vit-huge --out refined.json
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    add_cfg_options,
    add_device_argument,
    add_sam_weights_argument,
    add_trust_argument,
    make_parser,
    run_command,
)
from mmp2seg.apis.device import resolve_device, select_device

CONFIG = Path(__file__).resolve().parents[1] / 'configs' / 'point_segmenter' / 'sam.py'


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('labels', metavar='LABELS.json', help='pseudo labels, as of P2Seg')
    parser.add_argument(
        'images', nargs='?', metavar='IMAGES', help='folder of the images (without --candidates)'
    )
    parser.add_argument('--out', required=True, metavar='OUT.json', help='the json to write')
    add_sam_weights_argument(parser)
    parser.add_argument(
        '--candidates',
        metavar='SAM.json',
        help='labels of the same points with candidates, which mmp2seg masks --segmenter sam '
        'wrote; then no image is read',
    )
    parser.add_argument(
        '--config',
        default=str(CONFIG),
        help='config with a model and a label_refiner, a path or a config of the package '
        '(default: point_segmenter/sam.py)',
    )
    add_cfg_options(parser)
    add_device_argument(parser)
    add_trust_argument(parser)
    args = parser.parse_args(argv)
    if (args.images is None) == (args.candidates is None):
        parser.error('expected either IMAGES or --candidates')
    if args.candidates is not None and args.weights is not None:
        parser.error('expected --weights or --candidates, got both')
    return args


def main(argv: list[str]) -> int:
    select_device(argv)
    args = parse_args(argv)
    # these import mmengine: after select_device
    from mmengine.utils import track_iter_progress

    from mmp2seg.apis.config_names import resolve_config
    from mmp2seg.apis.label_refinement import build_label_refiner, points_of_labels
    from mmp2seg.apis.point_masks import (
        build_point_segmenter,
        set_sam_weights,
        write_point_masks,
    )
    from mmp2seg.apis.pseudo_labels import require_writable_json
    from mmp2seg.apis.runner import load_config
    from mmp2seg.files.atomic_write import write_json
    from mmp2seg.pseudo_labels.coco_json import load

    cfg = load_config(resolve_config(args.config), cfg_options=args.cfg_options)
    set_sam_weights(cfg, args.weights)
    refiner = build_label_refiner(cfg)
    for path in filter(None, (args.labels, args.candidates)):
        if Path(args.out).resolve() == Path(path).resolve():
            raise CommandError(f'--out: expected another file than {path}')
    labels = load(args.labels)
    outfile = require_writable_json(args.out)
    source = args.candidates
    if source is None:
        source = str(Path(outfile).with_suffix('.sam.json'))
        segmenter = build_point_segmenter(cfg, device=resolve_device(args.device))
        try:
            run = write_point_masks(
                segmenter,
                points_of_labels(labels),
                args.images,
                outfile=source,
                info={'method': cfg.model.type, 'options': cfg.model.to_dict()},
                track=track_iter_progress,
            )
        except KeyboardInterrupt:
            print('\nInterrupted. The same command continues from here.', file=sys.stderr)
            return 130
        print()
        print(run.describe(source))
    refined = refiner(labels, load(source), names=(args.labels, source))
    write_json(outfile, refined.labels)
    print(f'{outfile}: {len(refined.labels["annotations"])} masks')
    print(refined.describe())
    return 0


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
