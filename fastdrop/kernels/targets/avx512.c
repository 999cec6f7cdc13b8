/* SPDX-License-Identifier: BSD-3-Clause */
#include "../common.h"

#ifdef FD_X86_64
#define FD_TARGET avx512
#define FD_TABLE fd_kernels_avx512
#include "../simd/avx512.h"
#include "table.inc.h"
#endif
