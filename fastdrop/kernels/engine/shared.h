/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Numbers and addresses that threads read and write without a lock.
 */
#ifndef FD_SHARED_H
#define FD_SHARED_H

#include "../common.h"

/* What a thread wrote before it wrote the number is seen by those that read it. */
FD_INLINE size_t
fd_shared_read(const size_t *number)
{
#ifdef FD_MSVC
    return (size_t)_InterlockedOr64((volatile long long *)number, 0);
#else
    return __atomic_load_n(number, __ATOMIC_ACQUIRE);
#endif
}

FD_INLINE void
fd_shared_write(size_t *number, size_t value)
{
#ifdef FD_MSVC
    _InterlockedExchange64((volatile long long *)number, (long long)value);
#else
    __atomic_store_n(number, value, __ATOMIC_RELEASE);
#endif
}

/* The same for an address, which no thread writes through. */
FD_INLINE const void *
fd_shared_read_address(const void *const *address)
{
#ifdef FD_MSVC
    return _InterlockedCompareExchangePointer((void *volatile *)address, NULL, NULL);
#else
    return __atomic_load_n(address, __ATOMIC_ACQUIRE);
#endif
}

FD_INLINE void
fd_shared_write_address(const void **address, const void *value)
{
#ifdef FD_MSVC
    _InterlockedExchangePointer((void *volatile *)address, (void *)value);
#else
    __atomic_store_n(address, value, __ATOMIC_RELEASE);
#endif
}

/* Takes what the flag guards, unless somebody has it; `fd_shared_write(flag, 0)` gives it back. */
FD_INLINE int
fd_shared_take(size_t *flag)
{
#ifdef FD_MSVC
    return _InterlockedExchange64((volatile long long *)flag, 1) == 0;
#else
    return __atomic_exchange_n(flag, 1, __ATOMIC_ACQUIRE) == 0;
#endif
}

#endif
