#!/usr/bin/env bash
# Run cuda_check.py on a machine with a CUDA device, a Python with torch and triton, and no network:
#   bash tools/analysis_tools/cuda_check.sh PACKAGES [--cuda-ops] [options of cuda_check.py]
# PACKAGES is a folder of the missing packages, as wheels or source packages. mmcv is compiled with
# its CPU operators, which are enough for stage 1; --cuda-ops also compiles those for CUDA, which the
# trainings of stage 2 need.
# To fill the folder on a machine with a network, here for Python 3.12 on Linux x86-64:
#   pip download -d PACKAGES --no-deps --only-binary=:all: --python-version 3.12 \
#       --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \
#       --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
#       onedl-mmengine addict yapf platformdirs termcolor pycocotools shapely terminaltables \
#       prettytable wcwidth ftfy imagecorruptions-imaug imaug
#   pip download -d PACKAGES --no-deps --no-binary=:all: --no-build-isolation \
#       onedl-mmcv onedl-mmdetection onedl-mmsegmentation
# Environment: PYTHON (the Python with torch; default python3), VENV (the environment to make on top
# of it; default work_dirs/cuda_check/venv).
set -euo pipefail

fail() {
    echo "cuda_check.sh: $*" >&2
    exit 1
}

if [ $# -lt 1 ] || [ ! -d "$1" ]; then
    fail 'usage: bash tools/analysis_tools/cuda_check.sh PACKAGES [--cuda-ops] [options]'
fi
PACKAGES=$(cd "$1" && pwd)
shift
CUDA_OPS=
if [ "${1:-}" = --cuda-ops ]; then
    CUDA_OPS=1
    shift
fi
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BASE=${PYTHON:-python3}
VENV=${VENV:-$ROOT/work_dirs/cuda_check/venv}
"$BASE" -c 'import torch, triton' || fail "$BASE has no torch or no triton; name another in PYTHON"

# --system-site-packages does not show the packages of a base that is a virtual environment.
"$BASE" -m venv --system-site-packages --without-pip "$VENV"
PYTHON=$VENV/bin/python
SITE=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$BASE" - >"$SITE/base.pth" <<'END'
import sys

print(*(path for path in sys.path if path.endswith(('site-packages', 'dist-packages'))), sep='\n')
END

PIP=("$PYTHON" -m pip install --quiet --disable-pip-version-check --no-index --no-deps)
shopt -s nullglob
WHEELS=("$PACKAGES"/*.whl)
[ ${#WHEELS[@]} -eq 0 ] || "${PIP[@]}" "${WHEELS[@]}"
export MMCV_WITH_OPS=1 MAX_JOBS=${MAX_JOBS:-$(nproc)}
HIDE=()
[ -n "$CUDA_OPS" ] || HIDE=(env CUDA_VISIBLE_DEVICES=-1) # mmcv compiles for the devices it sees
for source in "$PACKAGES"/*.tar.gz; do
    echo "cuda_check.sh: building ${source##*/}"
    "${HIDE[@]}" "${PIP[@]}" --no-build-isolation "$source"
done
exec "$PYTHON" "$ROOT/tools/analysis_tools/cuda_check.py" "$@"
