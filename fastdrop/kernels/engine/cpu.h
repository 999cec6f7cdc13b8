/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which tables this machine can run, and how large its last-level cache is.
 */
#ifndef FD_CPU_H
#define FD_CPU_H

#include "../kernels.h"

enum { FD_MAX_TABLES = 4 };

/* The tables that were compiled and that CPU and operating system support, slowest first;
 * returns their number. */
int fd_cpu_tables(const fd_kernels *tables[FD_MAX_TABLES]);

/* Bytes, or a cautious guess where the machine does not say. */
size_t fd_cpu_last_level_cache(void);

#endif
