#!/bin/sh
# Renew the hashed locks after a change of dependencies in pyproject.toml. Needs `uv` on PATH.
set -eu
cd "$(dirname "$0")/.."
export UV_CUSTOM_COMPILE_COMMAND="scripts/lock.sh"
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url "$@" --extra build pyproject.toml -o requirements/runtime.txt
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url "$@" --extra dev -c requirements/runtime.txt pyproject.toml -o requirements/dev.txt
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url "$@" --extra build --extra physics -c requirements/runtime.txt pyproject.toml -o requirements/physics.txt
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url "$@" --extra build --extra fleet -c requirements/runtime.txt pyproject.toml -o requirements/fleet.txt
uv pip compile --quiet --python-version 3.13 --generate-hashes --no-emit-index-url "$@" requirements/home-assistant.in -o requirements/home-assistant.txt
