"""Fuzz the readers, and print what is found: ``python -m tests.fuzz --help``."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from mmp2seg.testing.fuzzing import fuzz, summarize

from .readers import READERS


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('readers', nargs='*', help='names of readers (default: all)')
    parser.add_argument('--seeds', nargs=2, type=int, default=(0, 1000), metavar=('FIRST', 'END'))
    parser.add_argument('--keep', metavar='FOLDER', help='write the files of the first seed there')
    args = parser.parse_args(argv)
    known = {reader.name: reader for reader in READERS}
    for name in args.readers:
        if name not in known:
            parser.error(f'expected readers of {", ".join(known)}, got {name!r}')
    if args.keep and len(args.readers) != 1:
        parser.error('--keep: expected one reader')
    if args.keep:
        known[args.readers[0]].write(Path(args.keep) / 'files', seed=args.seeds[0])
        return 0
    total = 0
    for name in args.readers or known:
        begin = time.time()
        with tempfile.TemporaryDirectory() as folder:
            findings, refused = fuzz(known[name], range(*args.seeds), folder=folder)
        count = args.seeds[1] - args.seeds[0]
        print(
            f'{name}: {count} files, {refused} refused, {len(findings)} findings, '
            f'{time.time() - begin:.1f} s',
            flush=True,
        )
        print(*(f'  {line}' for line in summarize(findings)), sep='\n', end='\n' * bool(findings))
        total += len(findings)
    return int(total > 0)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
