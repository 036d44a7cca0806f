#!/usr/bin/env bash
# Find or make a Python environment that runs mmp2seg:
#   source tools/setup_env.sh     sets MMP2SEG_PYTHON to its interpreter
#   bash tools/setup_env.sh       prints it
# Uses the first complete environment of: $PYTHON, .venv of this checkout, the active python or
# python3. If there is none, it creates or completes .venv: every step installs only what is
# missing, so an interrupted run can be resumed. It never replaces an installed torch.
# Environment variables:
#   PYTHON          the interpreter to use, or to create .venv with
#   MMP2SEG_TORCH   the torch to install, torch==2.13.0 by default
#   MMP2SEG_LINT    if set, install requirements/lint.txt too
#   MMP2SEG_WHEELS  a folder of wheels, or the address of a package index (an address that ends with
#                   .html: of a page with links): mmcv is compiled only if there is no wheel of it
#                   that fits. A step whose packages are all in the folder uses no network.

if [ "${BASH_SOURCE[0]}" != "$0" ]; then # sourced: use a subprocess, so that no other name leaks
    MMP2SEG_PYTHON=$(bash "${BASH_SOURCE[0]}") || exit
    return 0
fi

set -uo pipefail
CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LOG=$CHECKOUT/work_dirs/setup_env.log
MODULES=(torch mmengine mmcv mmcv.ops mmdet mmseg pycocotools)
TICKER=
FIND_WHEELS=()

say() { echo "setup: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

# imports PYTHON MODULE...: check that the interpreter can import the modules
imports() {
    local python=$1
    shift
    "$python" -c 'import importlib, sys; [importlib.import_module(m) for m in sys.argv[1:]]' \
        "$@" >/dev/null 2>&1
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; }

complete() { new_enough "$1" && imports "$1" "${MODULES[@]}"; }

# has_requirements PYTHON FILE...: check that the distributions of the files are installed
has_requirements() {
    "$1" - "${@:2}" 2>/dev/null <<'END'
import sys
from importlib.metadata import version

from packaging.requirements import Requirement

for path in sys.argv[1:]:
    for line in open(path):
        line = line.split('#')[0].strip()
        if line:
            requirement = Requirement(line)
            if requirement.marker and not requirement.marker.evaluate():
                continue
            if not requirement.specifier.contains(version(requirement.name), prereleases=True):
                sys.exit(1)
END
}

# check that `import mmp2seg` finds this checkout from any working directory
is_installed() {
    (cd / && "$1" - "$CHECKOUT" 2>/dev/null) <<'END'
import os
import sys
from importlib.metadata import version

import mmp2seg

checkout = os.path.join(sys.argv[1], 'mmp2seg', '__init__.py')
sys.exit(
    not os.path.samefile(mmp2seg.__file__, checkout) or version('mmp2seg') != mmp2seg.__version__
)
END
}

# run_logged MESSAGE COMMAND...: write the output to the log; if the command fails, show its end and
# exit
run_logged() {
    local message=$1 before
    before=$(wc -l 2>/dev/null <"$LOG")
    if ! try_logged "$@"; then
        tail -n "+$((before + 1))" "$LOG" | tail -n 25 >&2
        fail "this step failed: $message (all of its output: ${LOG#"$CHECKOUT"/})"
    fi
}

# try_logged MESSAGE COMMAND...: write the output to the log, and return the command's status
try_logged() {
    local message=$1 status=0
    shift
    say "$message"
    # report progress every minute; `sleep` must not keep the caller's streams open after the kill
    (
        minutes=0
        while sleep 60 >/dev/null 2>&1; do
            minutes=$((minutes + 1))
            say "  ... $minutes min"
        done
    ) >/dev/null &
    TICKER=$!
    printf '\n$ %s\n' "$*" >>"$LOG"
    "$@" >>"$LOG" 2>&1 </dev/null || status=$?
    kill "$TICKER" 2>/dev/null
    wait "$TICKER" 2>/dev/null
    TICKER=
    return "$status"
}

# set_pip PYTHON: set PIP to the words that start an installation without changing an installed torch
set_pip() {
    local torch
    torch=$("$1" -c 'from importlib.metadata import version; print(version("torch"))' 2>/dev/null)
    : >"$CONSTRAINTS"
    [ -z "$torch" ] || echo "torch==$torch" >"$CONSTRAINTS"
    PIP=("$1" -m pip install --disable-pip-version-check --no-input --constraint "$CONSTRAINTS")
}

# pip_install PYTHON MESSAGE ARGUMENT...: from the folder MMP2SEG_WHEELS if it has all that is
# needed, otherwise from the index and the folder
pip_install() {
    local python=$1 message=$2
    shift 2
    set_pip "$python"
    if [ -d "$WHEELS" ]; then
        try_logged "$message, from $WHEELS" "${PIP[@]}" --no-index --find-links "$WHEELS" "$@" &&
            return
        message="not all of this is in $WHEELS, so from the package index too: $message"
    fi
    run_logged "$message" "${PIP[@]}" ${FIND_WHEELS[@]+"${FIND_WHEELS[@]}"} "$@"
}

# find_wheels: check MMP2SEG_WHEELS; set WHEELS, and FIND_WHEELS to pip's options for it
find_wheels() {
    WHEELS=${MMP2SEG_WHEELS:-}
    case $WHEELS in
    '') ;;
    *://*.html) FIND_WHEELS=(--find-links "$WHEELS") ;;
    *://*) FIND_WHEELS=(--extra-index-url "$WHEELS") ;;
    *)
        [ -d "$WHEELS" ] ||
            fail "MMP2SEG_WHEELS: expected a folder or an address with ://, got $WHEELS"
        WHEELS=$(cd "$WHEELS" && pwd)
        FIND_WHEELS=(--find-links "$WHEELS")
        ;;
    esac
}

find_base_python() {
    local name
    for name in ${PYTHON:+"$PYTHON"} python python3 python3.1{3,2,1,0}; do
        if new_enough "$name"; then
            echo "$name"
            return
        fi
    done
    fail 'Python 3.10 or newer is needed; name its interpreter in the variable PYTHON'
}

# use_opencv_that_imports PYTHON: mmcv and mmdet install OpenCV with and without windows into the same
# folder; without libGL only the latter can be imported, so it has to be installed last
use_opencv_that_imports() {
    imports "$1" cv2 ||
        pip_install "$1" 'OpenCV without windows: this machine lacks libGL' \
            --no-deps --force-reinstall 'opencv-python-headless<4.13'
}

# install_mmcv_wheel PYTHON REQUIREMENT: install a wheel of MMP2SEG_WHEELS, if one fits
install_mmcv_wheel() {
    local index=()
    set_pip "$1"
    # a folder that has mmcv may lack what mmcv needs
    if [ -d "$WHEELS" ] && "${PIP[@]}" --quiet --dry-run --no-index --find-links "$WHEELS" \
        --only-binary onedl-mmcv "$2" >/dev/null 2>&1; then
        index=(--no-index)
    fi
    if ! try_logged "mmcv: a wheel from $WHEELS" \
        "${PIP[@]}" ${index[@]+"${index[@]}"} "${FIND_WHEELS[@]}" --only-binary onedl-mmcv "$2"; then
        say "no wheel of mmcv for this Python in $WHEELS"
        return 1
    fi
    use_opencv_that_imports "$1"
    imports "$1" mmcv.ops && return
    say "the wheel of mmcv from $WHEELS does not fit the installed torch"
    run_logged 'removing this mmcv' "$1" -m pip uninstall --yes onedl-mmcv
    return 1
}

# install_mmcv PYTHON: compile it if no wheel fits; compile again if pip cached an mmcv that was
# compiled against another torch
install_mmcv() {
    local requirement options=(--no-build-isolation)
    requirement=$(grep '^onedl-mmcv' requirements/mminstall.txt)
    if [ -n "$WHEELS" ]; then
        install_mmcv_wheel "$1" "$requirement" && return
        options+=(--no-binary onedl-mmcv) # not this wheel again
    fi
    pip_install "$1" 'mmcv: compiling its operators takes about 7 minutes on two cores, once' \
        "${options[@]}" "$requirement"
    use_opencv_that_imports "$1"
    imports "$1" mmcv.ops ||
        pip_install "$1" 'mmcv does not fit the installed torch: compiling it again' \
            "${options[@]}" --no-cache-dir --no-deps --force-reinstall "$requirement"
}

# complete_venv: create .venv of the checkout, or install what it lacks
complete_venv() {
    local base python=$CHECKOUT/.venv/bin/python
    if ! "$python" -m pip --version >/dev/null 2>&1; then
        base=$(find_base_python) || exit 1
        run_logged "making .venv with $("$base" --version)" "$base" -m venv .venv
    fi
    new_enough "$python" || fail '.venv has a Python older than 3.10: remove it and run again'
    imports "$python" setuptools wheel ninja packaging ||
        pip_install "$python" 'build tools' --upgrade pip setuptools wheel ninja packaging
    imports "$python" torch ||
        pip_install "$python" 'torch' "${MMP2SEG_TORCH:-torch==2.13.0}"
    imports "$python" mmcv.ops || install_mmcv "$python"
    imports "$python" mmengine mmdet mmseg ||
        pip_install "$python" 'mmengine, mmdet and mmseg' \
            --no-build-isolation -r requirements/mminstall.txt
    use_opencv_that_imports "$python"
    complete "$python" || run_logged "importing ${MODULES[*]}" \
        "$python" -c "import importlib; [importlib.import_module(m) for m in '${MODULES[*]}'.split()]"
}

# Print the interpreter's path to stdout and everything else to stderr.
main() {
    local name python= requirements=(requirements/{runtime,pretrained,tests,docs}.txt)
    [ -z "${MMP2SEG_LINT:-}" ] || requirements+=(requirements/lint.txt)
    find_wheels # a relative path is one of the caller
    cd "$CHECKOUT" && mkdir -p work_dirs || exit 1
    CONSTRAINTS=$(mktemp)
    trap 'rm -f "$CONSTRAINTS"; [ -z "$TICKER" ] || kill "$TICKER" 2>/dev/null' EXIT
    trap 'say "interrupted; run the same command again to resume"; exit 130' INT TERM

    for name in ${PYTHON:+"$PYTHON"} .venv/bin/python python python3; do
        if complete "$name"; then
            python=$("$name" -c 'import sys; print(sys.executable)')
            break
        fi
    done
    if [ -z "$python" ]; then
        complete_venv
        python=$CHECKOUT/.venv/bin/python
    fi
    has_requirements "$python" "${requirements[@]}" ||
        pip_install "$python" "${requirements[*]}" "${requirements[@]/#/-r}"
    # do not install this checkout into an environment that is not ours: tools and tests work so
    if [ "$python" = "$CHECKOUT/.venv/bin/python" ] && ! is_installed "$python"; then
        pip_install "$python" 'mmp2seg itself, editable' --no-deps --no-build-isolation -e .
    fi
    say "using $python"
    echo "$python"
}

main
