# Makes the checkout ready: Debian packages, and .venv with the tested versions of what is needed.
# Sourced by the scripts beside it, which then have $root and the programs of .venv on PATH; quick when
# nothing is missing. `source setup.sh run` installs what the simulator needs, `source setup.sh test` also
# what the tests need, `source setup.sh look` also the viewers with which pictures are made and looked at:
# a browser, GTKWave, a screen for it, and tshark. PYTHON chooses the interpreter that .venv is made from.
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

# The compiler and what waves need; with $2 = test also what cocotb's benches need; with look also viewers.
missing_packages() {
    local python=$1 level=$2 program
    local -a programs=(g++ ccache)
    if [ "$level" != run ]; then programs+=(make perl iverilog); fi
    if [ "$level" = look ]; then
        programs+=(chromium gtkwave tshark xdotool)
        command -v Xvfb >/dev/null || echo xvfb
        command -v import >/dev/null || echo imagemagick
        [ -d /usr/share/fonts/truetype/dejavu ] || echo fonts-dejavu-core
    fi
    for program in "${programs[@]}"; do
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
    has_venv "$python" || echo python3-venv
    [ "$level" != run ] || return 0
    # A simulator loads Python as a library, which a statically linked interpreter does not bring along.
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

has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

install_packages() {
    local -a packages as_root=()
    read -r -a packages <<<"$(missing_packages "$1" "$2" | tr '\n' ' ')"
    [ ${#packages[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
    if ! command -v apt-get >/dev/null || { [ ${#as_root[@]} -gt 0 ] && ! "${as_root[@]}" true 2>/dev/null; }; then
        say "these Debian packages are missing; install them and start again:"
        say "  sudo apt-get install ${packages[*]}"
        return 1
    fi
    say "Debian packages: ${packages[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" </dev/null >/dev/null
    say "Debian packages are there"
}

# pip's own account has a line for every file; one a package is enough to see that it goes on.
show_packages() {
    awk '/^Collecting / { printf "ringwalker: Python package %d: %s\n", ++n, $2 }
         /^Installing collected/ { printf "ringwalker: unpacking %d Python packages\n", n }
         { fflush() }' >&2
}

make_venv() {
    local python=$1 level=$2 what=$root
    say "making $root/.venv with $("$python" --version)"
    "$root/.venv/bin/python" -c 'import pip' 2>/dev/null || "$python" -m venv --clear "$root/.venv"
    rm -f "$root/.venv/"*.stamp
    if [ "$level" != run ]; then what="$root[test]"; fi
    # The variable, unlike the option, also holds for the packages that building needs.
    PIP_CONSTRAINT=$root/constraints.txt "$root/.venv/bin/python" -m pip install --disable-pip-version-check \
        --no-input --no-compile --editable "$what" </dev/null | show_packages
}

stamp_is() { [ "$(cat "$root/.venv/$1.stamp" 2>/dev/null)" = "$2" ]; }

# Each level contains the one before it.
is_ready() {
    local wanted=$1 stamp=$2 level
    for level in look test run; do
        if stamp_is "$level" "$stamp"; then return 0; fi
        if [ "$level" = "$wanted" ]; then return 1; fi
    done
}

setup() {
    local level=$1 stamp python packages=0
    stamp="$root $(cat "$root/pyproject.toml" "$root/constraints.txt" "$root/scripts/setup.sh" | sha256sum)"
    if ! is_ready "$level" "$stamp"; then
        python=$(find_python)
        if has_venv "$python"; then
            # Neither waits for the other.
            install_packages "$python" "$level" &
            packages=$!
        else
            install_packages "$python" "$level"
        fi
        make_venv "$python" "$level" || { wait; exit 1; }
        if [ "$packages" != 0 ]; then wait "$packages"; fi
        printf '%s\n' "$stamp" >"$root/.venv/$level.stamp"
    fi
    export PATH=$root/.venv/bin:$PATH
}

setup "${1:?run, test or look}"
