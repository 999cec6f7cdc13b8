/* SPDX-License-Identifier: BSD-3-Clause */
#include "sources.h"

#define FACTS(NUMBER, PREFIX, NAME, LANES, TIE_TAG, PREFETCHED)                                    \
    [NUMBER] = {NAME, {LANES}, TIE_TAG, PREFETCHED},

const fd_source_facts fd_sources[FD_SOURCES] = {FD_EACH_SOURCE(FACTS)};
