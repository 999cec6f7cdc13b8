/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What one register must do: the list that a header which includes wide.h has to fulfil. It defines
 *
 *   FD_REGISTERS          how many registers make 64 bytes
 *   r_u64, r_f32, r_f64   a register of integers of any width, of floats, of doubles
 *   v_prefetch(line)      asks for a line of the cache; an address that is not there does no harm
 *   v_unpack64(bits, to)  as in scalar.h; bits.h has one
 *
 * and the operations below, as functions or macros. Each line is the type of the result, the name,
 * arguments, and what it means; the compiler reads them all. Where nothing else is said, it is done
 * in each lane, of the width in the name. Memory need not be aligned, but for `past`: this is aligned
 * as the register is, and past the caches where there is such a store. A "set" has all bits of a lane
 * or none. Numbers like 16 stand for any constant.
 */
#ifndef FD_SIMD_REGISTERS_H
#define FD_SIMD_REGISTERS_H

#define GIVES(TYPE, NAME, ARGUMENTS)                                                               \
    {                                                                                              \
        TYPE result = NAME ARGUMENTS;                                                              \
        (void)result;                                                                              \
    }
#define DOES(NAME, ARGUMENTS) NAME ARGUMENTS;

/* Never called. a, b are registers of integers, x, y of floats, u, v of doubles. */
FD_INLINE void
fd_registers_do(r_u64 a, r_u64 b, r_f32 x, r_f32 y, r_f64 u, r_f64 v, uint32_t bits,
                uint64_t *words, uint16_t *shorts, uint8_t *bytes, float *floats, double *doubles)
{
    /* Integers: memory, and one number in all lanes. */
    GIVES(r_u64, r_load, (words))
    GIVES(r_u64, r_load_u16, (shorts)) /* to 64-bit lanes */
    DOES(r_store, (words, a))
    DOES(r_store_past, (words, a))
    GIVES(r_u64, r_set1, (words[0]))
    GIVES(r_u64, r_set1_32, (bits))
    GIVES(r_u64, r_set1_16, (1))

    /* Arithmetic, modulo 2^64 and 2^16; all bits; shifts by constants. */
    GIVES(r_u64, r_add64, (a, b))
    GIVES(r_u64, r_sub64, (a, b))
    GIVES(r_u64, r_sub16, (a, b))
    GIVES(r_u64, r_mul32, (a, b)) /* the 64-bit products of the lower halves of 64-bit lanes */
    GIVES(r_u64, r_or, (a, b))
    GIVES(r_u64, r_and, (a, b))
    GIVES(r_u64, r_xor, (a, b))
    GIVES(r_u64, r_andnot, (a, b)) /* ~a & b */
    GIVES(r_u64, r_shl64, (a, 16))
    GIVES(r_u64, r_shr64, (a, 16))
    GIVES(r_u64, r_shl32, (a, 16))
    GIVES(r_u64, r_shr32, (a, 16))

    /* Order. */
    GIVES(r_u64, r_join32, (a, b))   /* of each 64 bits: the lower 32 of a, and those of b above */
    GIVES(r_u64, r_zip_even, (a, b)) /* a and b in turn, of each 128 bits: the first word of each */
    GIVES(r_u64, r_zip_odd, (a, b))  /* the second words */
    GIVES(r_u64, r_tops16, (a, b))   /* the upper halves of 32-bit lanes, of a and b in turn */
    GIVES(r_u64, r_rests16, (a, b))  /* the lower halves */

    /* Comparisons. Those of bytes, and `signs` of a set, give a bit for each lane, lowest first. */
    GIVES(uint32_t, r_bytes_eq, (a, b))
    GIVES(uint32_t, r_bytes_ge, (a, b)) /* unsigned */
    GIVES(r_u64, r_eq16, (a, b))        /* a set */
    GIVES(r_u64, r_gt16, (a, b))        /* a set; signed */
    GIVES(uint32_t, r_signs16, (r_eq16(a, b)))
    GIVES(uint32_t, (uint32_t)r_bit32, (a, 16))    /* bit 16 of each lane */
    GIVES(r_u64, r_choose16, (a, b, r_eq16(a, b))) /* a where set, else b */
    GIVES(r_u64, r_bits16, (bits, 1)) /* each lane has, in its place of 16, its bit of the bits from
                                       * lane 0 of register 1 on */

    /* Floats: memory; of two registers the even and the odd elements; float16 and bfloat16. */
    GIVES(r_f32, r_f32_load, (floats))
    DOES(r_f32_store, (floats, x))
    DOES(r_f32_store_past, (floats, x))
    GIVES(r_f32, r_f32_set1, (1.0f))
    GIVES(r_f32, r_f32_even, (x, y))
    GIVES(r_f32, r_f32_odd, (x, y))
    GIVES(r_f32, r_f32_load_half, (shorts))
    GIVES(r_f32, r_f32_load_bfloat, (shorts))
    DOES(r_f32_store_half, (shorts, x)) /* rounded to nearest, ties to even, as half.h does */
    DOES(r_f32_store_bfloat, (shorts, x))
    GIVES(r_u64, r_f32_to_halves, (x, y)) /* float16 of x and then of y */

    /* Arithmetic. max is the second one where either is NaN. */
    GIVES(r_f32, r_f32_mul, (x, y))
    GIVES(r_f32, r_f32_add, (x, y))
    GIVES(r_f32, r_f32_sub, (x, y))
    GIVES(r_f32, r_f32_div, (x, y))
    GIVES(r_f32, r_f32_max, (x, y))

    /* Bits of floats, as the f32_... of scalar.h; a set of 32-bit lanes. */
    GIVES(r_f32, r_f32_from_bits, (a))
    GIVES(r_u64, r_f32_bits, (x))
    GIVES(r_f32, r_f32_from_i32, (a))
    GIVES(r_f32, r_f32_lookup, (floats, a)) /* in a table of 16, by the lowest 4 bits */
    GIVES(r_f32, r_f32_power, (x))
    GIVES(r_f32, r_f32_mantissa, (x))
    GIVES(r_f32, r_f32_copysign, (x, y))
    GIVES(uint32_t, (uint32_t)r_f32_not_below, (x))   /* bits: whether it is not <= 0 */
    GIVES(r_f32, r_f32_and, (x, r_set32(a, b)))       /* r_set32: where a has all bits of b */
    GIVES(r_f32, r_f32_choose, (x, y, r_set32(a, b))) /* x where set, else y */

    /* Doubles, in the same way. Sets come from 32-bit lanes. */
    GIVES(r_f64, r_f64_load, (doubles))
    DOES(r_f64_store, (doubles, u))
    DOES(r_f64_store_past, (doubles, u))
    GIVES(r_f64, r_f64_set1, (1.0))
    GIVES(r_f64, r_f64_load_f32, (floats))
    DOES(r_f64_store_f32, (floats, u))
    DOES(r_f64_store_bytes, (bytes, u)) /* of numbers in [0, 256), cut off */
    GIVES(r_f64, r_f64_mul, (u, v))
    GIVES(r_f64, r_f64_add, (u, v))
    GIVES(r_f64, r_f64_sub, (u, v))
    GIVES(r_f64, r_f64_div, (u, v))
    GIVES(r_f64, r_f64_max, (u, v))
    GIVES(r_f64, r_f64_power, (u))
    GIVES(uint32_t, (uint32_t)r_f64_not_below, (u))
    GIVES(r_f64, r_f64_and, (u, r_set32(a, b)))
    GIVES(r_f64, r_f64_choose, (u, v, r_set32(a, b)))
}

#undef GIVES
#undef DOES

#endif
