/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which tables there are, which of them this machine can run, and how large its last-level cache is.
 */
#ifndef FD_CPU_H
#define FD_CPU_H

#include "../kernels.h"

enum { FD_MAX_TABLES = 4 };

/* The tables that were compiled and that CPU and operating system support, slowest first;
 * returns their number. */
int fd_cpu_tables(const fd_kernels *tables[FD_MAX_TABLES]);

/* Names of the tables that were compiled, and of those that this architecture has besides, with
 * commas between them. */
extern const char fd_cpu_built[], fd_cpu_left_out[];

/* Bytes, or a cautious guess where the machine does not say. */
size_t fd_cpu_last_level_cache(void);

#endif
