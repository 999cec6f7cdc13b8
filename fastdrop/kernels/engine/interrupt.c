/* SPDX-License-Identifier: BSD-3-Clause */
#define _POSIX_C_SOURCE 200809L

#include "interrupt.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <time.h>
#endif

static uint64_t
milliseconds(void)
{
#ifdef _WIN32
    return GetTickCount64();
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
#endif
}

fd_interrupt *
fd_interrupt_of(fd_interrupt *room, size_t n, fd_ask ask)
{
    if (n < FD_LONG_CALL || ask == NULL) {
        return NULL;
    }
    const fd_interrupt interrupt = {ask, milliseconds() + FD_ASK_EVERY, 0, 0};
    *room = interrupt;
    return room;
}

void
fd_interrupt_ask(fd_interrupt *interrupt)
{
    if (fd_shared_read(&interrupt->stopped) || milliseconds() < interrupt->due) {
        return;
    }
    if (interrupt->ask()) {
        fd_shared_write(&interrupt->stopped, 1);
    }
    interrupt->due = milliseconds() + FD_ASK_EVERY;
}
