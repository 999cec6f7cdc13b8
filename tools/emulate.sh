#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Checks the C kernels where the tests cannot: all tables of this machine under the address and
# undefined-behaviour sanitizers, under valgrind, and with musl; those of Windows under Wine; those
# of AArch64, and the portable ones of other machines, 32-bit and big-endian ones among them, under
# qemu-user; and, compiled only, with other compilers that are installed. Results are compared with
# those of the NumPy twin (emulate/make_vectors.py, emulate/check_kernels.c); of attention, with
# those of other blocks and of the formula (emulate/check_attention.c). What is not installed is
# skipped, with a line that says so; arguments are the names of those to run, else all are. Needs a
# Python with NumPy: $PYTHON, else python or python3.
#
# Debian has it all:
#   gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross
#   gcc-riscv64-linux-gnu libc6-dev-riscv64-cross gcc-powerpc64le-linux-gnu libc6-dev-ppc64el-cross
#   gcc-powerpc64-linux-gnu libc6-dev-ppc64-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross
#   qemu-user clang valgrind musl-tools gcc-mingw-w64-x86-64 wine wine64
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-$(command -v python || command -v python3)}
numpy=$("$python" -c "import numpy; print(numpy.get_include())")
kernels=fastdrop/kernels
warnings="-Wall -Wextra -Wpedantic -Wconversion"
failures=0
chosen=" $* "
export WINEPREFIX=$work/wine WINEDEBUG=-all

# The flags of an instruction set, as in setup.py.
flags_of() {
    local avx2="-mavx2 -mf16c -mbmi -mbmi2 -mpopcnt"
    case $1 in
    avx2) echo "$avx2" ;;
    avx512) echo "$avx2 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512" ;;
    esac
}

# skip NAME TOOL...: succeeds if others are chosen or, and says so, if a tool is missing.
skip() {
    local name=$1 tool
    shift
    [[ $chosen == "  " || $chosen == *" $name "* ]] || return 0
    for tool in "$@"; do
        if ! command -v "$tool" >/dev/null; then
            echo "$name: SKIPPED, no $tool"
            return 0
        fi
    done
    return 1
}

# compile DIRECTORY LEVELS COMPILER [FLAG...]: the tables and the engine. In a condition, where it
# is used, no failure would end it by itself.
compile() {
    local out=$1 levels=$2 level source
    shift 2
    local cc=("$@" -std=c11 -ffp-contract=off -pthread -I "$kernels")
    mkdir -p "$out"
    for level in $levels; do
        # shellcheck disable=SC2046,SC2086
        "${cc[@]}" $warnings $(flags_of "$level") -c "$kernels/targets/$level.c" -o "$out/$level.o" ||
            return
        cc+=("-DFD_HAVE_$(echo "$level" | tr '[:lower:]' '[:upper:]')")
    done
    for source in "$kernels"/engine/*.c; do
        # shellcheck disable=SC2086
        "${cc[@]}" $warnings -isystem "$numpy" -c "$source" -o "$out/$(basename "$source" .c).o" ||
            return
    done
}

# run NAME RUNNER LEVELS COMPILER [FLAG...]: compiles, links, runs; RUNNER may be empty.
run() {
    local name=$1 runner=$2 levels=$3 check
    shift 3
    local out=$work/$name
    if compile "$out" "$levels" "$@"; then
        for check in kernels attention; do
            # shellcheck disable=SC2086
            "$@" -std=c11 $warnings -I "$kernels" -pthread "tools/emulate/check_$check.c" \
                "$out"/*.o -lm -o "$out/$check.exe" && printf '%s: ' "$name" &&
                $runner "$out/$check.exe" "$work/vectors" || failures=$((failures + 1))
        done
    else
        echo "$name: FAILED to compile"
        failures=$((failures + 1))
    fi
}

# only_compile NAME LEVELS COMPILER [FLAG...]
only_compile() {
    local name=$1
    shift
    if compile "$work/$name" "$@"; then
        echo "$name: compiles ($1)"
    else
        echo "$name: FAILED to compile"
        failures=$((failures + 1))
    fi
}

"$python" tools/emulate/make_vectors.py "$work/vectors"

case $(uname -m) in
x86_64 | amd64) native="scalar sse2 avx2 avx512" ;;
aarch64 | arm64) native="scalar neon" ;;
*) native="scalar" ;;
esac
skip sanitizers gcc ||
    run sanitizers "" "$native" \
        gcc -O0 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined \
        -Wno-sign-conversion # the intrinsics themselves convert, where they are not inlined
# It knows no AVX-512.
skip valgrind valgrind gcc ||
    run valgrind "valgrind --quiet --error-exitcode=9" "${native% avx512}" gcc -O1 -g
skip musl musl-gcc || run musl "" "$native" musl-gcc -O3 -static
skip windows x86_64-w64-mingw32-gcc wine || {
    wineboot --init >/dev/null 2>&1
    run windows wine "scalar sse2 avx2 avx512" x86_64-w64-mingw32-gcc -O3 -static \
        -D__USE_MINGW_ANSI_STDIO=1
    wineserver --kill
}
skip aarch64 aarch64-linux-gnu-gcc qemu-aarch64 ||
    run aarch64 qemu-aarch64 "scalar neon" aarch64-linux-gnu-gcc -O3 -static
skip armhf arm-linux-gnueabihf-gcc qemu-arm ||
    run armhf qemu-arm "scalar" arm-linux-gnueabihf-gcc -O3 -static
skip riscv64 riscv64-linux-gnu-gcc qemu-riscv64 ||
    run riscv64 qemu-riscv64 "scalar" riscv64-linux-gnu-gcc -O3 -static
skip ppc64le powerpc64le-linux-gnu-gcc qemu-ppc64le ||
    run ppc64le qemu-ppc64le "scalar" powerpc64le-linux-gnu-gcc -O3 -static
skip ppc64 powerpc64-linux-gnu-gcc qemu-ppc64 ||
    run ppc64 qemu-ppc64 "scalar" powerpc64-linux-gnu-gcc -O3 -static
skip s390x s390x-linux-gnu-gcc qemu-s390x ||
    run s390x qemu-s390x "scalar" s390x-linux-gnu-gcc -O3 -static

skip gcc gcc || only_compile gcc "$native" gcc -O3
skip clang-x86_64 clang ||
    only_compile clang-x86_64 "scalar sse2 avx2 avx512" clang --target=x86_64-linux-gnu -O3
skip clang-aarch64 clang aarch64-linux-gnu-gcc ||
    only_compile clang-aarch64 "scalar neon" clang --target=aarch64-linux-gnu \
        -isystem /usr/aarch64-linux-gnu/include -O3

exit "$((failures > 0))"
