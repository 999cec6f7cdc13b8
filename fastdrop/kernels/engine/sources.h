/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is known of each source: the rows of ../sources.h.
 */
#ifndef FD_ENGINE_SOURCES_H
#define FD_ENGINE_SOURCES_H

#include "../kernels.h"

typedef struct {
    int words; /* 64-bit words of one lane; 0: the source has none */
    const char *tag;
} fd_lanes_of;

typedef struct {
    const char *name;
    fd_lanes_of lanes;
    const char *tie_tag;
    size_t prefetched_past_caches;
} fd_source_facts;

extern const fd_source_facts fd_sources[FD_SOURCES];

/* The key and the counter of three 64-bit words. */
FD_INLINE fd_identity
fd_identity_of(const uint64_t words[3])
{
    const fd_identity identity = {{(uint32_t)words[0], (uint32_t)(words[0] >> 32)},
                                  {words[1], words[2]}};
    return identity;
}

#endif
