/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The floating-point mode of a thread: rounding, flush to zero, denormals are zero, traps. On
 * machines that are not listed here there is none.
 */
#ifndef FD_FLOAT_MODE_H
#define FD_FLOAT_MODE_H

#include "../common.h"

typedef uint64_t fd_float_mode;

#if defined(FD_ARM64) && defined(FD_MSVC)
enum { FD_FPCR = 0x5A20 }; /* what the compiler calls this register */
#endif

FD_INLINE fd_float_mode
fd_float_mode_read(void)
{
#if defined(FD_X86_64)
    return _mm_getcsr();
#elif defined(FD_ARM64) && defined(FD_MSVC)
    return (fd_float_mode)_ReadStatusReg(FD_FPCR);
#elif defined(FD_ARM64)
    fd_float_mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
#else
    return 0;
#endif
}

FD_INLINE void
fd_float_mode_write(fd_float_mode mode)
{
#if defined(FD_X86_64)
    _mm_setcsr((unsigned)mode);
#elif defined(FD_ARM64) && defined(FD_MSVC)
    _WriteStatusReg(FD_FPCR, (__int64)mode);
#elif defined(FD_ARM64)
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
#else
    (void)mode;
#endif
}

#endif
