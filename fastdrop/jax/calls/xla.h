/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is used of XLA's foreign function interface, whose structs only grow: its version 0.1, which
 * jaxlib 0.5 has. All is called through addresses that XLA gives, and nothing is linked.
 */
#ifndef FD_XLA_H
#define FD_XLA_H

#include <stddef.h>
#include <stdint.h>

enum { XLA_MAJOR = 0, XLA_MINOR = 1 };

enum { XLA_METADATA = 1 }; /* an extension's type */

enum { XLA_INVALID_ARGUMENT = 3, XLA_RESOURCE_EXHAUSTED = 8 }; /* codes of errors */

typedef enum {
    XLA_F16 = 10,
    XLA_F32 = 11,
    XLA_F64 = 12,
    XLA_C64 = 15,
    XLA_BF16 = 16,
    XLA_C128 = 18
} xla_dtype;

typedef struct xla_extension {
    size_t struct_size;
    int type;
    struct xla_extension *next;
} xla_extension;

#define XLA_HEAD                                                                                   \
    size_t struct_size;                                                                            \
    xla_extension *extensions

typedef struct {
    XLA_HEAD;
    int major, minor;
} xla_version;

typedef struct {
    size_t struct_size;
    xla_version version;
    uint32_t traits;
} xla_metadata;

typedef struct {
    xla_extension extension;
    xla_metadata *metadata;
} xla_metadata_extension;

typedef struct xla_error xla_error;

typedef struct {
    XLA_HEAD;
    const char *message; /* is copied */
    int code;
} xla_new_error;

typedef struct {
    XLA_HEAD;
    xla_version version;
    const void *internal;
    xla_error *(*create_error)(xla_new_error *error);
} xla_api;

typedef struct {
    XLA_HEAD;
    int dtype;
    void *data;
    int64_t rank;
    int64_t *dims;
} xla_buffer;

typedef struct {
    XLA_HEAD;
    int64_t size;
    int *types;
    xla_buffer **buffers;
} xla_buffers;

typedef struct {
    const char *text;
    size_t length;
} xla_name;

typedef struct {
    int dtype;
    const void *value;
} xla_scalar;

typedef struct {
    XLA_HEAD;
    int64_t size;
    int *types;
    xla_name **names;
    xla_scalar **scalars;
} xla_attributes;

typedef struct {
    XLA_HEAD;
    const xla_api *api;
    void *context;
    int stage;
    xla_buffers arguments, results;
    xla_attributes attributes;
} xla_call;

#endif
