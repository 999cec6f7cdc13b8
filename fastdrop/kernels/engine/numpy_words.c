/* SPDX-License-Identifier: BSD-3-Clause */
#include "numpy_words.h"

int
fd_numpy_bytes(const fd_kernels *kernels, bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit,
               uint8_t *kept, fd_ask ask)
{
    fd_interrupt room;
    const fd_watch watch = {fd_interrupt_of(&room, n, ask), 1};
    if (n == 0) {
        return 0;
    }
    const uint64_t key = bitgen->next_uint64(bitgen->state);
    const fd_identity untagged = {{(uint32_t)key, (uint32_t)(key >> 32)}, {0, 0}};
    const fd_identity ties = fd_tagged(&untagged, FD_TIES_OF_NUMPY);
    FD_ALIGN64 uint8_t bytes[FD_READ_BYTES + FD_STEP]; /* read in whole groups of 64 */
    for (size_t first = 0; first < n; first += FD_READ_BYTES) {
        if (fd_stops(watch)) {
            return -1;
        }
        const size_t count = fd_min(FD_READ_BYTES, n - first);
        uint8_t *tile = kept + first / 8;
        for (size_t i = 0; i < count; i += 8) {
            fd_store_le64(bytes + i, bitgen->next_uint64(bitgen->state));
        }
        if (limit->each != NULL) {
            fd_decide(kernels, limit->each, &ties, bytes, first, count, first, tile);
        } else if (limit->threshold.drops_all) {
            memset(tile, 0, (count + 7) / 8);
        } else {
            kernels->threshold(bytes, count, limit->threshold.value, &ties, first, tile);
        }
    }
    return 0;
}

/* Elements whose p are looked up at once. */
enum { CHUNK = 1024 };

/* p of elements [first, first + n), n <= CHUNK. */
static void
limits_read(const fd_numpy_limit *limit, size_t first, size_t n, double *p)
{
    if (limit->each != NULL) {
        fd_drop_probabilities(limit->each, first, n, p);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        p[i] = limit->p;
    }
}

int
fd_numpy_doubles(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit, uint8_t *kept, fd_ask ask)
{
    fd_interrupt room;
    const fd_watch watch = {fd_interrupt_of(&room, n, ask), 1};
    double p[CHUNK];
    memset(kept, 0, (n + 7) / 8);
    for (size_t i = 0; i < n; i++) {
        if (i % CHUNK == 0) {
            if (fd_stops(watch)) {
                return -1;
            }
            limits_read(limit, i, fd_min(CHUNK, n - i), p);
        }
        const int keeps = bitgen->next_double(bitgen->state) >= p[i % CHUNK];
        kept[i / 8] |= (uint8_t)(keeps << i % 8);
    }
    return 0;
}

int
fd_numpy_floats(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit, uint8_t *kept, fd_ask ask)
{
    fd_interrupt room;
    const fd_watch watch = {fd_interrupt_of(&room, n, ask), 1};
    double p[CHUNK];
    memset(kept, 0, (n + 7) / 8);
    for (size_t i = 0; i < n; i++) {
        if (i % CHUNK == 0) {
            if (fd_stops(watch)) {
                return -1;
            }
            limits_read(limit, i, fd_min(CHUNK, n - i), p);
        }
        const uint32_t digits = bitgen->next_uint32(bitgen->state) >> 8;
        const float uniform = (float)digits * (1.0f / 16777216.0f);
        kept[i / 8] |= (uint8_t)((uniform >= (float)p[i % CHUNK]) << i % 8);
    }
    return 0;
}

int
fd_numpy_normals(const fd_kernels *kernels, bitgen_t *bitgen, size_t n, float deviation,
                 float *factors, fd_ask ask)
{
    fd_interrupt room;
    const fd_watch watch = {fd_interrupt_of(&room, n, ask), 1};
    FD_ALIGN64 uint8_t words[4 * CHUNK];
    FD_ALIGN64 float made[CHUNK]; /* in whole groups, which `factors` need not be */
    for (size_t first = 0; first < n; first += CHUNK) {
        if (fd_stops(watch)) {
            return -1;
        }
        const size_t count = fd_min(CHUNK, n - first);
        for (size_t i = 0; i < count; i += 2) {
            fd_store_le64(words + 4 * i, bitgen->next_uint64(bitgen->state));
        }
        kernels->normal(words, count, deviation, made);
        memcpy(factors + first, made, count * sizeof *made);
    }
    return 0;
}
