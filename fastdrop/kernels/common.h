/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What every kernel file shares: exact-width integers, little-endian access, bit tricks.
 * No Python.h anywhere below this folder.
 */
#ifndef FD_COMMON_H
#define FD_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* setup.py cancels these options; here is what it could not cancel. */
#if defined(__FAST_MATH__) || defined(_M_FP_FAST) || defined(__RECIPROCAL_MATH__) ||               \
    defined(__ASSOCIATIVE_MATH__) || defined(__NO_SIGNED_ZEROS__) ||                               \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "fastdrop cannot be compiled with -ffast-math, -Ofast or /fp:fast, nor with a part of them"
#endif
#if defined(__FLT_EVAL_METHOD__) && (__FLT_EVAL_METHOD__ == 2 || __FLT_EVAL_METHOD__ < 0)
#error "fastdrop cannot be compiled for x87, which computes in other types: use -mfpmath=sse -msse2"
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define FD_MSVC 1
#include <intrin.h>
#include <stdlib.h>
#pragma fp_contract(off) /* older versions would fuse a product and a sum */
#define FD_RESTRICT __restrict
#define FD_ALIGN64 __declspec(align(64))
#define FD_INLINE static __forceinline
#define FD_APART static __declspec(noinline)
#define FD_BSWAP64(x) _byteswap_uint64(x)
#else
#define FD_RESTRICT restrict
#define FD_ALIGN64 _Alignas(64)
#define FD_INLINE static inline __attribute__((always_inline, unused))
#define FD_APART static __attribute__((noinline)) /* its stack is taken where it is called only */
#define FD_BSWAP64(x) __builtin_bswap64(x)
#endif

#if defined(__x86_64__) || defined(_M_X64)
#define FD_X86_64 1
#include <xmmintrin.h>
#define fd_store_fence() _mm_sfence()
#define fd_prefetch_line(line) _mm_prefetch((const char *)(line), _MM_HINT_T0)
#else
#define fd_store_fence() ((void)0)
#define fd_prefetch_line(line) ((void)(line))
#endif

#if defined(__aarch64__) || defined(_M_ARM64)
#define FD_ARM64 1
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define FD_LE64(x) FD_BSWAP64(x)
#else
#define FD_LE64(x) (x)
#endif

/* The stream is a sequence of little-endian words, whatever the machine. */
FD_INLINE uint64_t
fd_load_le64(const void *from)
{
    uint64_t word;
    memcpy(&word, from, 8);
    return FD_LE64(word);
}

FD_INLINE void
fd_store_le64(void *to, uint64_t word)
{
    word = FD_LE64(word);
    memcpy(to, &word, 8);
}

/* Index of the lowest set bit; `word` is not 0. */
FD_INLINE unsigned
fd_lowest_bit(uint64_t word)
{
#ifdef FD_MSVC
    unsigned long index;
    _BitScanForward64(&index, word);
    return (unsigned)index;
#else
    return (unsigned)__builtin_ctzll(word);
#endif
}

/* The n lowest bits set, 0 <= n <= 64. */
FD_INLINE uint64_t
fd_low_bits(size_t n)
{
    return n >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
}

/* Bits [at, at + 16) and [at, at + 8) of a string of bits; reads up to 2 bytes past them. */
FD_INLINE uint16_t
fd_kept_16(const uint8_t *kept, size_t at)
{
    const uint8_t *byte = kept + at / 8;
    return (uint16_t)(((uint32_t)byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16) >>
                      at % 8);
}

FD_INLINE uint8_t
fd_kept_8(const uint8_t *kept, size_t at)
{
    const uint8_t *byte = kept + at / 8;
    return (uint8_t)(((uint32_t)byte[0] | (uint32_t)byte[1] << 8) >> at % 8);
}

FD_INLINE size_t
fd_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

#endif
