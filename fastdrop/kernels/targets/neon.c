/* SPDX-License-Identifier: BSD-3-Clause */
#include "../common.h"

#ifdef FD_ARM64
#define FD_TARGET neon
#define FD_TABLE fd_kernels_neon
#include "../simd/neon.h"
#include "table.inc.h"
#endif
