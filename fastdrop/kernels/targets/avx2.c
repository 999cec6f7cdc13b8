/* SPDX-License-Identifier: BSD-3-Clause */
#include "../common.h"

#ifdef FD_X86_64
#define FD_TARGET avx2
#define FD_TABLE fd_kernels_avx2
#include "../simd/avx2.h"
#include "table.inc.h"
#endif
