/* SPDX-License-Identifier: BSD-3-Clause */
#include "../common.h"

#ifdef FD_X86_64
#define FD_TARGET sse2
#define FD_TABLE fd_kernels_sse2
#include "../simd/sse2.h"
#include "table.inc.h"
#endif
