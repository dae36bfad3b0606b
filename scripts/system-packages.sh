#!/bin/sh
# Install the Debian packages that some tests use, where root or sudo allows; say which are missing otherwise.
# Without them those tests are skipped, never failed. Servers among them are neither started nor enabled: a test starts its own.
#   scripts/system-packages.sh COMMAND:PACKAGE...
set -eu
missing=""
for pair in "$@"; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then root="sudo"
else root="none"
fi
if [ "$root" != none ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing for the tests:$missing" >&2
  policy=/usr/sbin/policy-rc.d  # what Debian's packages ask before they start a server
  held=""
  if [ ! -e "$policy" ] && printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null && $root chmod 755 "$policy"; then
    held=yes
    trap '$root rm -f "$policy"' EXIT
  fi
  # shellcheck disable=SC2086
  if $root apt-get update -qq >/dev/null 2>&1 && $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null 2>&1; then
    for server in mosquitto prometheus victoria-metrics; do
      case "$missing " in
        *" $server "*) [ -z "$held" ] || $root systemctl disable --quiet "$server" >/dev/null 2>&1 || : ;;
      esac
    done
    exit 0
  fi
fi
echo "Some tests are skipped. To run them too: sudo apt install$missing" >&2
