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

#endif
