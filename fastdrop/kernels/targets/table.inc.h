/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The stages, compiled for the instruction set whose simd/ header was included before, and
 * their table. FD_TARGET is the level's name, FD_TABLE its symbol.
 */
#include "../apply/apply.h"
#include "../mask/threshold.h"
#include "../source/lanes.h"

#define FD_STRING_(x) #x
#define FD_STRING(x) FD_STRING_(x)

const fd_kernels FD_TABLE = {
    .name = FD_STRING(FD_TARGET),
    .fill = {[FD_PHILOX4X32] = philox4x32_fill,
             [FD_XOSHIRO256PLUSPLUS] = xoshiro256plusplus_fill,
             [FD_XORSHIFT128PLUS] = xorshift128plus_fill},
    .threshold = threshold_bytes,
    .apply = {[FD_FLOAT16] = apply_float16,
              [FD_BFLOAT16] = apply_bfloat16,
              [FD_FLOAT32] = apply_float32,
              [FD_FLOAT64] = apply_float64},
    .apply_past_caches = {[FD_FLOAT16] = apply_float16_past_caches,
                          [FD_BFLOAT16] = apply_bfloat16_past_caches,
                          [FD_FLOAT32] = apply_float32_past_caches,
                          [FD_FLOAT64] = apply_float64_past_caches},
    .unpack = unpack_bits,
};
