#!/bin/sh
# Install the Debian packages that some tests use, where root or sudo allows; say which are missing otherwise.
# Without them those tests are skipped, never failed.
#   scripts/system-packages.sh COMMAND:PACKAGE...
# What a package starts as a service of the machine is stopped again, and not started with it: the tests start what they
# need themselves. One that was there before stays as it is.
set -eu
units="mosquitto.service prometheus.service prometheus-node-exporter.service victoria-metrics.service
  avahi-daemon.socket avahi-daemon.service"
missing=""
for pair in "$@"; do
  package=${pair##*:}
  case "$missing " in *" $package "*) continue ;; esac
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then root="sudo"
else root="none"
fi
known() { [ -e "${UNITS:-/lib/systemd/system}/$1" ]; }
new=""
for unit in $units; do
  known "$unit" || new="$new $unit"
done
if [ "$root" != none ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing for the tests:$missing" >&2
  # shellcheck disable=SC2086
  if $root apt-get update -qq >/dev/null 2>&1 && $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null 2>&1; then
    for unit in $new; do
      if known "$unit"; then
        $root systemctl disable "$unit" >/dev/null 2>&1 || true
        $root systemctl stop "$unit" >/dev/null 2>&1 || true
      fi
    done
    exit 0
  fi
fi
echo "Some tests are skipped. To run them too: sudo apt install$missing" >&2
