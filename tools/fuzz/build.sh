#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# build.sh PROGRAM: links door.c, the engine and all tables of x86-64 or AArch64 with libFuzzer and
# the address and undefined-behaviour sanitizers. The tables have the first of them alone, or they
# would take ten minutes to compile. Needs clang, and a Python with NumPy: $PYTHON.
set -euo pipefail
program=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
kernels=fastdrop/kernels
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-std=c11 -O1 -ffp-contract=off -pthread -I "$kernels" -fsanitize=address)
numpy=$("${PYTHON:-python3}" -c "import numpy; print(numpy.get_include())")
avx2="-mavx2 -mf16c -mbmi -mbmi2 -mpopcnt"
avx512="$avx2 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512"
case $(uname -m) in
x86_64) levels="scalar sse2 avx2 avx512" ;;
*) levels="scalar neon" ;;
esac
have=()
for level in $levels; do
    case $level in avx*) own=${!level} ;; *) own= ;; esac
    # shellcheck disable=SC2086
    clang "${flags[@]}" $own -c "$kernels/targets/$level.c" -o "$work/$level.o"
    have+=("-DFD_HAVE_${level^^}")
done
clang "${flags[@]}" "${have[@]}" -g -isystem "$numpy" \
    -fsanitize=fuzzer,undefined -fno-sanitize-recover=undefined \
    tools/fuzz/door.c "$kernels"/engine/*.c "$work"/*.o -lm -o "$program"
