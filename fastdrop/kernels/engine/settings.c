/* SPDX-License-Identifier: BSD-3-Clause */
#include "settings.h"

#include "threads.h"

static const void *kernels_in_use;  /* shared */
static size_t pool_workers = 1;     /* shared */
static size_t pool_grain = 1 << 18; /* shared */
static fd_ask ask_by_pool;
static size_t last_level_cache;

const fd_kernels *
fd_active_kernels(void)
{
    return (const fd_kernels *)fd_shared_read_address(&kernels_in_use);
}

void
fd_use_kernels(const fd_kernels *kernels)
{
    fd_shared_write_address(&kernels_in_use, kernels);
}

size_t
fd_pool_workers(void)
{
    return fd_shared_read(&pool_workers);
}

void
fd_use_pool_workers(size_t workers)
{
    fd_shared_write(&pool_workers, workers);
}

size_t
fd_pool_grain(void)
{
    return fd_shared_read(&pool_grain);
}

void
fd_use_pool_grain(size_t elements)
{
    fd_shared_write(&pool_grain, elements);
}

void
fd_use_ask(fd_ask ask)
{
    ask_by_pool = ask;
}

size_t
fd_last_level_cache(void)
{
    return last_level_cache;
}

void
fd_use_last_level_cache(size_t bytes)
{
    last_level_cache = bytes;
}

fd_executor
fd_pool(void)
{
    const fd_executor executor = {fd_pool_run, fd_pool_workers(), fd_pool_grain(), ask_by_pool};
    return executor;
}
