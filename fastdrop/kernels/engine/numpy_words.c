/* SPDX-License-Identifier: BSD-3-Clause */
#include "numpy_words.h"

void
fd_numpy_bytes(const fd_kernels *kernels, bitgen_t *bitgen, size_t n, fd_threshold threshold,
               uint8_t *kept)
{
    if (n == 0) {
        return;
    }
    const uint64_t key = bitgen->next_uint64(bitgen->state);
    const fd_identity untagged = {{(uint32_t)key, (uint32_t)(key >> 32)}, {0, 0}};
    const fd_identity ties = fd_tagged(&untagged, "fd:tienp");
    FD_ALIGN64 uint8_t bytes[FD_TILE];
    for (size_t first = 0; first < n; first += FD_TILE) {
        const size_t count = fd_min(FD_TILE, n - first);
        for (size_t i = 0; i < count; i += 8) {
            fd_store_le64(bytes + i, bitgen->next_uint64(bitgen->state));
        }
        if (threshold.drops_all) {
            memset(kept + first / 8, 0, (count + 7) / 8);
        } else {
            kernels->threshold(bytes, count, threshold.value, &ties, first, kept + first / 8,
                               NULL, 0);
        }
    }
}

void
fd_numpy_doubles(bitgen_t *bitgen, size_t n, double p, uint8_t *kept)
{
    memset(kept, 0, (n + 7) / 8);
    for (size_t i = 0; i < n; i++) {
        kept[i / 8] |= (uint8_t)((bitgen->next_double(bitgen->state) >= p) << i % 8);
    }
}

void
fd_numpy_floats(bitgen_t *bitgen, size_t n, double p, uint8_t *kept)
{
    const float limit = (float)p;
    memset(kept, 0, (n + 7) / 8);
    for (size_t i = 0; i < n; i++) {
        const float uniform = (float)(bitgen->next_uint32(bitgen->state) >> 8) * (1.0f / 16777216.0f);
        kept[i / 8] |= (uint8_t)((uniform >= limit) << i % 8);
    }
}
