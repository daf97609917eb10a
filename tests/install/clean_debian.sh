#!/usr/bin/env bash
# The wheel and README's Python example on a Debian 12 with nothing but Python, timed: tests/install/clean_debian.sh WHEEL [BASE]
# as root, by hand. BASE is the folder of an untouched debootstrap; without it, one is made. The bar: one minute.
# shellcheck disable=SC2016  # dpkg-query and sed want their dollars and ticks as they are
set -euo pipefail
# What is mounted below is seen by nobody else, and gone with this process.
[[ -n "${KIBAN_OWN_MOUNTS:-}" ]] || KIBAN_OWN_MOUNTS=1 exec unshare --mount "$0" "$@"
wheel=$(readlink -f "$1")
readme=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../../README.md")
root=$(mktemp -d "${TMPDIR:-/tmp}/kiban-debian12.XXXXXX")
trap 'umount --lazy "$root/proc" "$root/dev"; rm -rf --one-file-system "$root"' EXIT

if [[ -n "${2:-}" ]]; then cp -a "$2/." "$root"; else debootstrap --variant=minbase bookworm "$root"; fi
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
cp /etc/resolv.conf "$root/etc/resolv.conf"
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 PIP_CERT="${PIP_CERT:-}" chroot "$root" "$@"; }
inside apt-get -qq update
inside env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends python3-venv ca-certificates > /dev/null
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
development=$(inside dpkg-query -W -f '${Package} ${db:Status-Status}\n' | awk '/-dev installed$/ { print $1 }')
[[ -z "$development" ]] || { printf 'not clean: %s\n' "$development" >&2; exit 1; }

mkdir "$root/kiban"
cp "$wheel" "$root/kiban/"
sed -n '/^```python$/,/^```$/ { /^```/d; p }' "$readme" > "$root/kiban/example.py"
[[ -s "$root/kiban/example.py" ]] || { printf 'README.md has no ```python example\n' >&2; exit 1; }

inside python3 -m venv /kiban/venv
start=$SECONDS
inside bash -ec 'TIMEFORMAT="  %R s, of processors %U + %S"; cd /kiban
  printf "pip install"; time venv/bin/pip install --quiet --disable-pip-version-check ./*.whl
  printf "the example"; time venv/bin/python example.py
  venv/bin/kiban version'
printf 'clean Debian 12: pip install and example in %s s\n' "$((SECONDS - start))"
((SECONDS - start < 60)) || { printf 'longer than a minute\n' >&2; exit 1; }
