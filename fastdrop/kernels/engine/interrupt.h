/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Long calls that may be told to stop. The thread that made the call asks now and then whether it
 * has to; its answer stops all threads of the call, each after its tile.
 */
#ifndef FD_INTERRUPT_H
#define FD_INTERRUPT_H

#include "shared.h"

enum {
    FD_LONG_CALL = 1 << 20, /* elements: a call of fewer is over before it would ask */
    FD_ASK_EVERY = 50,      /* milliseconds */
    FD_ASK_TILES = 64       /* between two looks at the clock */
};

/* Whether to stop. */
typedef int (*fd_ask)(void);

/* Of one call. */
typedef struct {
    fd_ask ask;
    uint64_t due;   /* when to ask next; this and the next of the thread that made the call */
    size_t tiles;   /* since the last look at the clock */
    size_t stopped; /* shared */
} fd_interrupt;

/* Of one of its threads. */
typedef struct {
    fd_interrupt *interrupt; /* NULL: nobody tells it to stop */
    int asks;                /* this thread made the call */
} fd_watch;

/* What a call of n elements can be interrupted by, in `room`; NULL where it is short, or `ask` NULL. */
fd_interrupt *fd_interrupt_of(fd_interrupt *room, size_t n, fd_ask ask);

/* Asks if it is time to. Only the thread that made the call does so, while it holds no lock. */
void fd_interrupt_ask(fd_interrupt *interrupt);

/* Whether the call has been told to stop. */
FD_INLINE int
fd_stopped(const fd_interrupt *interrupt)
{
    return interrupt != NULL && fd_shared_read(&interrupt->stopped) != 0;
}

/* The same, asked before so many tiles. */
FD_INLINE int
fd_stops_before(fd_watch watch, size_t tiles)
{
    if (watch.interrupt == NULL) {
        return 0;
    }
    if (watch.asks && (watch.interrupt->tiles += tiles) >= FD_ASK_TILES) {
        watch.interrupt->tiles = 0;
        fd_interrupt_ask(watch.interrupt);
    }
    return fd_stopped(watch.interrupt);
}

/* The same, asked before every tile. */
FD_INLINE int
fd_stops(fd_watch watch)
{
    return fd_stops_before(watch, 1);
}

#endif
