# SPDX-License-Identifier: BSD-3-Clause
"""Third stage: y = kept ? x * scale : 0 over NumPy arrays."""
