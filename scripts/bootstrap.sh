#!/bin/sh
# Create .venv and install the project with its locked dependencies. Does nothing when that is already done.
#   scripts/bootstrap.sh runtime|dev|physics|fleet|home-assistant
# The last three are in .venv-physics, .venv-fleet and .venv-home-assistant, so that their libraries meet no test. Home
# Assistant is another program: its environment has nothing of ours and needs Python 3.13 and a C compiler.
# Needs python3 >= 3.11; on Debian and Ubuntu installs the package python3-venv when it is missing and root or sudo allows.
set -eu
cd "$(dirname "$0")/.."
kind=${1:-runtime}
venv=.venv
case $kind in physics | fleet | home-assistant) venv=.venv-$kind ;; esac

say() { printf '%s\n' "$*" >&2; }

fits='sys.version_info >= (3, 11)'
[ "$kind" != home-assistant ] || fits='sys.version_info[:2] == (3, 13)'

find_python() {
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 "$HOME"/.pyenv/versions/3.13.*/bin/python; do
    [ -n "$candidate" ] || continue
    if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c "import sys; sys.exit(not ($fits))" 2>/dev/null; then
      printf '%s' "$candidate"
      return 0
    fi
  done
  return 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then sudo "$@"
  else return 1
  fi
}

python=$(find_python) || {
  [ "$kind" != home-assistant ] || { say "Home Assistant 2025.4 needs Python 3.13; name one with PYTHON=..."; exit 1; }
  say "tinybms-bridge needs Python 3.11 or later and found none. On Debian 12+, Ubuntu 24.04+: sudo apt install python3 python3-venv"
  exit 1
}
stamp="$venv/.installed-$kind"
wanted=$(cat pyproject.toml "requirements/$kind.txt" | cksum)
if [ -x "$venv/bin/python" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then exit 0; fi

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then  # missing, or left half made
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    say "Python's venv module is missing: installing the package python3-venv"
    { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null; } || {
      say "Could not install it. Run: sudo apt install python3-venv"
      exit 1
    }
  fi
  say "Creating $venv with $("$python" --version)"
  "$python" -m venv --clear "$venv"
fi
say "Installing the locked dependencies ($kind); this takes a minute the first time"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "requirements/$kind.txt"
[ "$kind" = home-assistant ] ||
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
printf '%s' "$wanted" > "$stamp"
