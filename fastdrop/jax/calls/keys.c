/* SPDX-License-Identifier: BSD-3-Clause */
#include "calls.h"

#include <string.h>

const fd_api *fd_calls_engine = NULL;

int
fd_call_is_question(xla_call *call)
{
    for (xla_extension *each = call->extensions; each != NULL; each = each->next) {
        if (each->type == XLA_METADATA) {
            xla_metadata *metadata = ((xla_metadata_extension *)each)->metadata;
            metadata->version.major = XLA_MAJOR;
            metadata->version.minor = XLA_MINOR;
            return 1;
        }
    }
    return 0;
}

xla_error *
fd_call_error(const xla_call *call, int code, const char *message)
{
    xla_new_error error = {sizeof error, NULL, message, code};
    return call->api->create_error(&error);
}

int64_t
fd_call_attribute(const xla_call *call, const char *name)
{
    const xla_attributes *all = &call->attributes;
    int64_t value = 0;
    for (int64_t i = 0; i < all->size; i++) {
        if (all->names[i]->length == strlen(name) &&
            memcmp(all->names[i]->text, name, strlen(name)) == 0) {
            memcpy(&value, all->scalars[i]->value, sizeof value);
        }
    }
    return value;
}

/* The words of a Philox4x32 key and counter: the first two, and the last two. */
static fd_identity
identity_of(const uint32_t words[4])
{
    const fd_identity identity = {{words[0], words[1]}, {0, words[2] | (uint64_t)words[3] << 32}};
    return identity;
}

/* From any number of words to four: h = (number, 0, 0, 0), and for each pair of words, of which the
 * last may have no second: h = philox((pair) ^ "fd:jaxky"; h). */
static void
fold(const uint32_t *words, size_t n, uint32_t folded[4])
{
    const fd_kernels *kernels = fd_calls_engine->kernels();
    memset(folded, 0, 4 * sizeof *folded);
    folded[0] = (uint32_t)n;
    for (size_t i = 0; i < n; i += 2) {
        const fd_identity pair = {
            {words[i], i + 1 < n ? words[i + 1] : 0},
            {folded[0] | (uint64_t)folded[1] << 32, folded[2] | (uint64_t)folded[3] << 32}};
        const fd_identity tagged = fd_tagged(&pair, "fd:jaxky");
        FD_ALIGN64 uint8_t bytes[FD_STEP];
        fd_lanes none = {.ready = 0};
        kernels->fill[FD_PHILOX4X32](&tagged, &none, 0, 1, bytes);
        for (size_t j = 0; j < 2; j++) {
            const uint64_t word = fd_load_le64(bytes + 8 * j);
            folded[2 * j] = (uint32_t)word;
            folded[2 * j + 1] = (uint32_t)(word >> 32);
        }
    }
}

fd_seeded
fd_call_stream(const xla_buffer *key, size_t index, int64_t source)
{
    const size_t n = (size_t)key->dims[key->rank - 1];
    const uint32_t *words = (const uint32_t *)key->data + index * n;
    fd_seeded seeded = {.source = source < 0 ? FD_PHILOX4X32 : (fd_source)source};
    uint32_t folded[4];
    if (source < 0) {
        fold(words, n, folded);
        words = folded;
    }
    seeded.identity = identity_of(words);
    seeded.ties = fd_tagged(&seeded.identity, fd_calls_engine->sources[seeded.source].tie_tag);
    return seeded;
}

fd_executor
fd_call_threads(void)
{
    fd_executor pool = fd_calls_engine->pool();
    pool.ask = NULL; /* whoever waits is not Python */
    return pool;
}

size_t
fd_call_product(const int64_t *dims, int64_t first, int64_t end)
{
    size_t product = 1;
    for (int64_t i = first; i < end; i++) {
        product *= (size_t)dims[i];
    }
    return product;
}
