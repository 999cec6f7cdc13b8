/* SPDX-License-Identifier: BSD-3-Clause */
#define FD_TARGET scalar
#define FD_TABLE fd_kernels_scalar
#include "../simd/scalar.h"
#include "table.inc.h"
