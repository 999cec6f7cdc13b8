/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Memory for checks, which end without it.
 */
#ifndef FD_ALLOCATE_H
#define FD_ALLOCATE_H

#include <stdio.h>
#include <stdlib.h>

static void *
allocate(size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    if (memory == NULL) {
        perror("allocate");
        exit(2);
    }
    return memory;
}

#endif
