# SPDX-License-Identifier: BSD-3-Clause
"""Machine code: one table of kernels per instruction set, and the engine that runs them."""
