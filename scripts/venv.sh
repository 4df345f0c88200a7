#!/bin/sh
# Makes a virtual environment with a Python that is new enough, wherever this machine keeps one.
# usage: scripts/venv.sh FOLDER      Does nothing when FOLDER already has such a Python. Settings of pip, proxies and
# certificates are the caller's and stay as they are. PYTHON=... names the interpreter to use.
set -eu
folder=$1
new_enough='import sys; assert sys.version_info >= (3, 12)'

# A pyenv shim is on PATH for versions that are not active and then fails: only running it tells.
works() { "$1" -c "$new_enough" >/dev/null 2>&1; }

works "$folder/bin/python" && exit 0

for python in ${PYTHON:-} python3.13 python3.12 python3.14 python3 python \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python; do
    works "$python" || continue
    if "$python" -m venv --clear "$folder"; then
        exit 0
    fi
    rm -rf "$folder"
    echo "make: $python cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2
done

if command -v uv >/dev/null 2>&1; then
    exec uv venv --quiet --seed --python 3.12 "$folder"
fi

echo "make: no Python >= 3.12 found (looked on PATH, in pyenv and for uv); install one, or: make PYTHON=/path/to/python" >&2
exit 1
