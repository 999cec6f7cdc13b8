/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The stages, compiled for the instruction set whose simd/ header was included before, and
 * their table. FD_TARGET is the level's name, FD_TABLE its symbol.
 */
#include "../apply/activate.h"
#include "../apply/apply.h"
#include "../attention/softmax.h"
#include "../mask/each.h"
#include "../mask/multiply_normal.h"
#include "../mask/threshold.h"
#include "../norm/norm.h"
#include "../source/fill.h"

#define FD_STRING_(x) #x
#define FD_STRING(x) FD_STRING_(x)

#define FD_FILL_OF(NUMBER, SOURCE, ...) [NUMBER] = SOURCE##_fill,
#define FD_DECIDE_OF(NUMBER, SOURCE, ...) [NUMBER] = SOURCE##_decide,

const fd_kernels FD_TABLE = {
    .name = FD_STRING(FD_TARGET),
    .fill = {FD_EACH_SOURCE(FD_FILL_OF)},
    .decide = {FD_EACH_SOURCE(FD_DECIDE_OF)},
    .threshold = threshold_bytes,
    .probabilities = copy_probabilities,
    .heads = heads_of_values,
    .compare = compare_bytes,
    .digits = digits_of_ties,
    .factors = {[FD_FLOAT16] = factors_float32,
                [FD_BFLOAT16] = factors_float32,
                [FD_FLOAT32] = factors_float32,
                [FD_FLOAT64] = factors_float64},
    .apply = FD_ALL_OPERATIONS(),
    .apply_past_caches = FD_ALL_OPERATIONS(_past_caches),
    .normal = normal_factors,
    .multiply = FD_ALL_DTYPES(multiply),
    .multiply_normal = FD_ALL_DTYPES(multiply_normal),
    .unpack = unpack_bits,
    .softmax = {[FD_FLOAT32] = softmax_float32, [FD_FLOAT64] = softmax_float64},
    .softmax_weights = {[FD_FLOAT32] = softmax_weights_float32,
                        [FD_FLOAT64] = softmax_weights_float64},
    .softmax_backward = {[FD_FLOAT32] = softmax_backward_float32,
                         [FD_FLOAT64] = softmax_backward_float64},
    .round = FD_ALL_DTYPES(round),
    .norm_join = FD_ALL_DTYPES(norm_join),
    .norm_moments = {[FD_FLOAT16] = norm_moments_float32,
                     [FD_BFLOAT16] = norm_moments_float32,
                     [FD_FLOAT32] = norm_moments_float32,
                     [FD_FLOAT64] = norm_moments_float64},
    .norm_scale = FD_ALL_DTYPES(norm_scale),
    .norm_products = FD_ALL_DTYPES(norm_products),
    .norm_backward = FD_ALL_DTYPES(norm_backward),
};
