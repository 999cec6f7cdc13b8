/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The bytes of a stream, stored.
 */
#ifndef FD_FILL_H
#define FD_FILL_H

#include "lanes.h"

FD_INLINE void
store_bytes(void *to, size_t i, v_u64 bytes)
{
    v_store_bytes((uint8_t *)to + FD_STEP * i, bytes);
}

#define FD_DEFINE_FILL(NUMBER, SOURCE, ...)                                                        \
    static void SOURCE##_fill(const fd_identity *identity, fd_lanes *lanes, uint64_t step,         \
                              size_t steps, uint8_t *FD_RESTRICT bytes)                            \
    {                                                                                              \
        SOURCE##_loop(identity, lanes, step, steps, steps, store_bytes, bytes);                    \
    }

FD_EACH_SOURCE(FD_DEFINE_FILL)

#endif
