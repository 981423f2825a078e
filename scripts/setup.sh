#!/usr/bin/env bash
# Makes the checkout ready: Debian packages, and .venv with the tested versions of everything.
# Sourced by the scripts beside it, which then have $root and the programs of .venv on PATH; quick when
# nothing is missing. PYTHON chooses the interpreter that .venv is made from.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export RINGWALKER_CACHE=${RINGWALKER_CACHE:-$root/.cache}

say() { printf '%s\n' "ringwalker: $*" >&2; }

find_python() {
    local name
    for name in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    say "Python 3.11 or newer is needed; python3 is $(python3 --version 2>/dev/null || echo missing)." \
        "Install one, or name one with PYTHON=/path/to/python3.11."
    exit 1
}

missing_packages() {
    local python=$1 program
    for program in g++ make perl ccache; do
        command -v "$program" >/dev/null || echo "$program"
    done
    PATH=$PATH:/usr/sbin:/sbin command -v mke2fs >/dev/null || echo e2fsprogs
    # What the compiler finds counts, not where Debian puts it.
    if command -v g++ >/dev/null; then
        g++ -E -include lz4.h -x c++ /dev/null >/dev/null 2>&1 || echo liblz4-dev
        g++ -E -include zlib.h -x c++ /dev/null >/dev/null 2>&1 || echo zlib1g-dev
    else
        echo liblz4-dev zlib1g-dev
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    # The simulator loads Python as a library, which a statically linked interpreter does not bring along.
    "$python" - <<'PYTHON'
import ctypes.util, os, sys, sysconfig
version = f"{sys.version_info.major}.{sys.version_info.minor}"
library = sysconfig.get_config_var("INSTSONAME") or ""
places = [sysconfig.get_config_var(name) or "" for name in ("LIBDIR", "LIBPL")]
shared = ".so" in library and any(os.path.exists(os.path.join(place, library)) for place in places)
if not shared and not ctypes.util.find_library(f"python{version}"):
    print(f"libpython{version}")
PYTHON
}

install_packages() {
    local -a packages as_root=()
    read -r -a packages <<<"$(missing_packages "$1" | tr '\n' ' ')"
    [ ${#packages[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
    if ! command -v apt-get >/dev/null || { [ ${#as_root[@]} -gt 0 ] && ! "${as_root[@]}" true 2>/dev/null; }; then
        say "these Debian packages are missing; install them and start again:"
        say "  sudo apt-get install ${packages[*]}"
        exit 1
    fi
    say "installing ${packages[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" </dev/null >&2
}

make_venv() {
    local python=$1 stamp=$2
    say "making $root/.venv with $("$python" --version)"
    "$root/.venv/bin/python" -c 'import pip' 2>/dev/null || "$python" -m venv --clear "$root/.venv"
    rm -f "$root/.venv/ringwalker.stamp"
    # The variable, unlike the option, also holds for the packages that building needs.
    PIP_CONSTRAINT=$root/constraints.txt "$root/.venv/bin/python" -m pip install \
        --quiet --disable-pip-version-check --no-input --editable "$root[test]" </dev/null
    printf '%s\n' "$stamp" >"$root/.venv/ringwalker.stamp"
}

setup() {
    local stamp python
    stamp="$root $(cat "$root/pyproject.toml" "$root/constraints.txt" "$root/scripts/setup.sh" | sha256sum)"
    if [ "$(cat "$root/.venv/ringwalker.stamp" 2>/dev/null)" != "$stamp" ]; then
        python=$(find_python)
        install_packages "$python"
        make_venv "$python" "$stamp"
    fi
    export PATH=$root/.venv/bin:$PATH
}

setup
