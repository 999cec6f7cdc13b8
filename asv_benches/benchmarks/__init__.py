# SPDX-License-Identifier: BSD-3-Clause
"""Benchmarks of fastdrop: a file for each stage (source, mask, apply), and for what goes across."""
