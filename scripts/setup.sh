# Sourced by the scripts beside it: makes .venv, installs what is missing and compiles what changed.
# Works from a bare Debian machine with git and python3; where it may not install, it says in one sentence what to install.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
PYTHON=${PYTHON:-python3}

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

# install_packages NAME...: by apt, when this user may; 1 otherwise.
install_packages() {
    local as_root=()
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    say "installing by apt: $*"
    "${as_root[@]}" apt-get update -qq >/dev/null 2>&1 || true # an old list may still do
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1
}

# python_says EXPRESSION: its value in the Python that .venv is made from.
python_says() { "$PYTHON" -c "import os, sys, sysconfig; print($1)"; }

check_python() {
    if ! "$PYTHON" -c '' 2>/dev/null; then
        [ "$PYTHON" != python3 ] || install_packages python3 || true
        "$PYTHON" -c '' 2>/dev/null || fail "There is no $PYTHON here: install Python 3.11 or newer (Debian: apt-get install python3)" \
            "or set PYTHON to one."
    fi
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "mosn_mp needs Python 3.11 or newer, and $PYTHON is $(python_says 'sys.version.split()[0]'):" \
            "set PYTHON to a newer one, for example PYTHON=python3.12."
}

# Does a C compiler find Python's headers?
has_compiler() {
    local cc
    cc=${CC:-$(python_says "(sysconfig.get_config_var('CC') or 'cc').split()[0]")}
    command -v "$cc" >/dev/null &&
        printf '#include <Python.h>\n' | "$cc" "-I$(python_says "sysconfig.get_path('include')")" -x c -fsyntax-only - 2>/dev/null
}

has_venv() { "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; }

# The Debian packages of what is missing, one a line.
missing_packages() {
    local version
    version=$(python_says "'%d.%d' % sys.version_info[:2]")
    has_venv || printf '%s\n' "python$version-venv"
    has_compiler || printf '%s\n' gcc libc6-dev "python$version-dev"
}

check_system() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -eq 0 ] && return
    install_packages "${missing[@]}" || true
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -eq 0 ] && return
    fail "mosn_mp needs Python's venv module, a C compiler and Python's headers:" \
        "install what is missing (Debian: apt-get install ${missing[*]}) and run this again."
}

make_venv() {
    "$VENV/bin/python" -c 'import pip' 2>/dev/null && return
    say "making the virtual environment .venv"
    "$PYTHON" -m venv --clear "$VENV" || fail "The virtual environment $VENV could not be made: its message is above."
}

# requirements PART...: what pyproject.toml says must be installed for it, one a line; the parts are build, base and its extras.
requirements() {
    "$VENV/bin/python" -c 'import sys, tomllib
said = tomllib.load(open(sys.argv[1], "rb"))
parts = {"build": said["build-system"]["requires"], "base": said["project"]["dependencies"]}
parts |= said["project"]["optional-dependencies"]
print(*(package for part in sys.argv[2:] for package in parts[part]), sep="\n")' "$ROOT/pyproject.toml" "$@"
}

# pip_install LOG WORD...
pip_install() {
    local log=$ROOT/build/$1.log
    shift
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >"$log" 2>&1 && return
    cat "$log" >&2
    fail "pip could not install what mosn_mp needs: its message is above."
}

# set_up [EXTRA...]: .venv with mosn_mp (editable) and the named extras of pyproject.toml, hot modules compiled.
set_up() {
    local part wanted packages installing compiled missing=()
    check_python
    mkdir -p "$ROOT/build"
    exec 9>"$ROOT/build/setup.lock" # two scripts at once take turns
    flock 9
    check_system
    make_venv
    wanted=$(sha256sum <"$ROOT/pyproject.toml")
    for part in base "$@"; do
        [ "$(cat "$VENV/.mosn_mp-$part" 2>/dev/null)" = "$wanted" ] || missing+=("$part")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        say "installing mosn_mp's Python packages (${missing[*]}) and compiling its hot modules"
        mapfile -t packages < <(requirements build)
        pip_install pip-build "${packages[@]}"
        mapfile -t packages < <(requirements "${missing[@]}")
        pip_install pip "${packages[@]}" & # beside the compiler, which takes longer
        installing=$!
        (compile)
        compiled=$?
        wait "$installing" && [ "$compiled" = 0 ] || exit 1
        pip_install pip-editable --no-deps --no-build-isolation -e "$ROOT"
        for part in "${missing[@]}"; do
            printf '%s\n' "$wanted" >"$VENV/.mosn_mp-$part"
        done
    else
        compile
    fi
    exec 9>&-
}

# Hot modules whose sources changed since they were last compiled.
compile() {
    local log=$ROOT/build/compile.log
    "$VENV/bin/python" "$ROOT/scripts/build_hooks/hot_modules.py" >"$log" 2>&1 && return
    cat "$log" >&2
    fail "The hot modules could not be compiled: the compiler's message is above."
}
