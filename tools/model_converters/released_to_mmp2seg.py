"""Convert a checkpoint of the released P2Seg code (HRNet-48 or ResNet-101) for mmp2seg.

The result holds weights only: for tools/test.py, tools/generate_pseudo_labels.py and load_from, not
for --resume.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    make_parser,
    run_command,
)

CONFIG_FOLDER = Path(__file__).resolve().parents[2] / 'configs' / 'p2seg'
CONFIGS = {
    ('hrnet48', 20): 'hrnet48_voc.py',
    ('hrnet48', 80): 'hrnet48_coco.py',
    ('resnet101', 20): 'resnet101_voc.py',
}


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('input', metavar='IN', help='the released checkpoint, e.g. best.pt')
    parser.add_argument('output', metavar='OUT', help='the checkpoint to write')
    parser.add_argument(
        '--config',
        help='config whose model the weights must fit exactly (default: the one in configs/p2seg '
        "for the file's network and number of classes)",
    )
    return parser.parse_args(argv)


def find_config(args: argparse.Namespace, architecture: str, num_classes: int) -> str:
    """Path of the config to check against; VOC's if there is none for this number of classes."""
    if args.config is not None:
        return args.config
    name = CONFIGS.get((architecture, num_classes), CONFIGS[architecture, 20])
    return str(CONFIG_FOLDER / name)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmp2seg.apis.runner import load_config
    from mmp2seg.converters import released_checkpoints as released

    if Path(args.output).is_dir() or Path(args.output).resolve() == Path(args.input).resolve():
        raise CommandError(f'expected another file to write to, got {args.output}')
    state = released.read_released(args.input)
    conversion = released.convert_released(state)
    config = find_config(args, conversion.architecture, conversion.num_classes)
    cfg = load_config(config)
    own_classes = cfg.get('model', {}).get('semantic_head', {}).get('num_classes')
    released.check_conversion(conversion, cfg)
    released.write_converted(args.output, conversion)

    title = released.NETWORKS[conversion.architecture].title
    print(f'{args.input}: {title}, {conversion.num_classes} classes, {len(state)} entries')
    print(f'  used: {len(conversion.state_dict)}, offsets changed from (dy, dx) to (dx, dy)')
    print(f'  dropped, as inference does not use the centre head: {len(conversion.dropped)}')
    for name in conversion.dropped:
        print(f'    {name} {list(state[name].shape)}')
    print(f'{args.output}: loads strictly into {config}')
    if own_classes != conversion.num_classes:
        print(f'  with model.semantic_head.num_classes={conversion.num_classes}')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
