#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs tests of a wheel for CPython 3.11 and AArch64 on another machine: with Debian's Python of that
# machine, under qemu-user. It is slow, and says nothing of speed. Needs Debian 12, as it is or in a
# container, apt-get, qemu-aarch64 and pip.
#
#     bash tools/wheels/test_aarch64.sh wheelhouse/fastdrop-*-cp311-*aarch64.whl tests/test_stream.py
set -euo pipefail
wheel=$(realpath "$1")
shift
files=("$@")
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{state/lists/partial,cache/archives/partial,root,wheels,site,empty}
touch "$work/status"
apt=(apt-get --quiet --yes --no-install-recommends
    -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root
    -o "Dir::State=$work/state" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache")
"${apt[@]}" update
"${apt[@]}" --download-only install python3.11 libstdc++6 libgcc-s1
for package in "$work"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$work/root"
done
for platform in manylinux_2_17 manylinux_2_27 manylinux_2_28; do
    platforms+=(--platform "${platform}_aarch64")
done
python3 -m pip install --quiet --target "$work/site" --only-binary :all: --python-version 3.11 \
    "${platforms[@]}" "$wheel" ml_dtypes pytest hypothesis
cd "$work/empty"
PYTHONPATH=$work/site qemu-aarch64 -L "$work/root" "$work/root/usr/bin/python3.11" -P \
    -m pytest -q -p no:cacheprovider -c "$tests/pytest.ini" "${files[@]/#/$tests/}"
