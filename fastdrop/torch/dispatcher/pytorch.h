/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the kernels call of PyTorch, by addresses that are looked up when the package is loaded: no
 * header of PyTorch is needed, and nothing is linked.
 *
 * Half of it is PyTorch's stable C ABI (torch/csrc/stable/c/shim.h). The other half are exported
 * C++ functions. Their names hold the types of all arguments, so a function whose arguments change
 * gets another name, is not found, and then the kernels in Python serve.
 *
 * How C calls them (Itanium C++ ABI): a reference is an address; a `this` is the first argument; an
 * object with a destructor is passed by its address, and is returned into memory that the caller
 * has: C does the same for a struct of more than 16 bytes, such as `returned`. Exceptions pass
 * through C that is compiled with -fexceptions, which runs the functions of FD_OWNED on their way.
 */
#ifndef FD_PYTORCH_H
#define FD_PYTORCH_H

#include <stdbool.h>
#include <stdint.h>

/* Where the ABI is the one below. On other platforms the kernels in Python serve. */
#if defined(__linux__) && defined(__GNUC__) && (defined(__x86_64__) || defined(__aarch64__))
#define FD_HAS_DISPATCHER
#endif

typedef struct {
    void *impl; /* c10::TensorImpl: counted, owned by the tensor */
} tensor;       /* at::Tensor; a `tensor *` on the heap is an AtenTensorHandle */

typedef struct {
    void *words[3]; /* the first one, or the first two, are tensors */
} returned;

/* std::optional: of bool, of double, and of what is one pointer (a tensor or a generator). */
typedef struct {
    bool value, given;
} optional_bool;

typedef struct {
    double value;
    bool given;
} optional_double;

typedef struct {
    void *value;
    bool given;
} optional_pointer;

typedef struct {
    const int64_t *values;
    uint64_t n;
} lengths; /* c10::IntArrayRef */

typedef uint64_t stable_value; /* StableIValue: a number's bytes, or an address */
typedef uint64_t key_set;      /* c10::DispatchKeySet */
typedef uint16_t dispatch_key; /* c10::DispatchKey */
typedef void (*stable_kernel)(stable_value *stack, uint64_t inputs, uint64_t outputs);

/* The result, the name here, the arguments and the name there. */
#define EACH_FUNCTION(ROW)                                                                         \
    ROW(int32_t, library, (const char *, const char *, const char *, uint32_t, void **),           \
        "aoti_torch_library_init_impl")                                                            \
    ROW(int32_t, implement, (void *, const char *, stable_kernel, uint64_t), "torch_library_impl") \
    ROW(int32_t, undefined, (tensor * *), "aoti_torch_new_uninitialized_tensor")                   \
    ROW(int32_t, delete_handle, (tensor *), "aoti_torch_delete_tensor_object")                     \
    ROW(int32_t, delete_value, (stable_value *), "torch_delete_stable_ivalue")                     \
    ROW(int32_t, delete_generator, (void *), "torch_delete_generator")                             \
    ROW(int32_t, dim, (const tensor *, int64_t *), "aoti_torch_get_dim")                           \
    ROW(int32_t, numel, (const tensor *, int64_t *), "aoti_torch_get_numel")                       \
    ROW(int32_t, sizes, (const tensor *, int64_t **), "aoti_torch_get_sizes")                      \
    ROW(int32_t, strides, (const tensor *, int64_t **), "aoti_torch_get_strides")                  \
    ROW(int32_t, dtype, (const tensor *, int32_t *), "aoti_torch_get_dtype")                       \
    ROW(int32_t, const_data, (const tensor *, const void **), "torch_get_const_data_ptr")          \
    ROW(int32_t, mutable_data, (const tensor *, void **), "torch_get_mutable_data_ptr")            \
    ROW(int32_t, is_defined, (const tensor *, bool *), "aoti_torch_is_defined")                    \
    ROW(bool, grad_is_enabled, (void), "aoti_torch_grad_mode_is_enabled")                          \
    ROW(bool, key_is_included, (dispatch_key),                                                     \
        "_ZN3c104impl28tls_is_dispatch_key_includedENS_11DispatchKeyE")                            \
    ROW(bool, requires_grad, (const void *), "_ZNK3c1010TensorImpl13requires_gradEv")              \
    ROW(const tensor *, tangent, (const void *, uint64_t, const tensor *),                         \
        "_ZNK3c1010TensorImpl8_fw_gradEmRKN2at10TensorBaseE")                                      \
    ROW(bool, is_leaf, (const tensor *), "_ZNK2at10TensorBase7is_leafEv")                          \
    ROW(bool, is_view, (const tensor *), "_ZNK2at10TensorBase7is_viewEv")                          \
    ROW(returned, empty, (lengths, lengths, int8_t, bool),                                         \
        "_ZN2at6detail17empty_strided_cpuEN3c108ArrayRefIlEES3_NS1_10ScalarTypeEb")                \
    ROW(tensor *, random, (tensor *, optional_pointer *),                                          \
        "_ZN2at6native7random_ERNS_6TensorESt8optionalINS_9GeneratorEE")                           \
    ROW(tensor *, copy, (tensor *, const tensor *, bool),                                          \
        "_ZN2at4_ops5copy_4callERNS_6TensorERKS2_b")                                               \
    ROW(returned, native_dropout, (const tensor *, double, optional_bool),                         \
        "_ZN2at4_ops14native_dropout4callERKNS_6TensorEdSt8optionalIbE")                           \
    ROW(returned, native_dropout_again, (key_set, const tensor *, double, optional_bool),          \
        "_ZN2at4_ops14native_dropout10redispatchEN3c1014DispatchKeySetERKNS_6TensorEdSt8optionalI" \
        "bE")                                                                                      \
    ROW(returned, native_dropout_backward, (const tensor *, const tensor *, double),               \
        "_ZN2at6native23native_dropout_backwardERKNS_6TensorES3_d")                                \
    ROW(returned, dropout_again, (key_set, const tensor *, double, bool),                          \
        "_ZN2at4_ops7dropout10redispatchEN3c1014DispatchKeySetERKNS_6TensorEdb")                   \
    ROW(tensor *, dropout_in_place_again, (key_set, tensor *, double, bool),                       \
        "_ZN2at4_ops8dropout_10redispatchEN3c1014DispatchKeySetERNS_6TensorEdb")                   \
    ROW(returned, feature_dropout_again, (key_set, const tensor *, double, bool),                  \
        "_ZN2at4_ops15feature_dropout10redispatchEN3c1014DispatchKeySetERKNS_6TensorEdb")          \
    ROW(tensor *, feature_dropout_in_place_again, (key_set, tensor *, double, bool),               \
        "_ZN2at4_ops16feature_dropout_10redispatchEN3c1014DispatchKeySetERNS_6TensorEdb")          \
    ROW(returned, alpha_dropout_again, (key_set, const tensor *, double, bool),                    \
        "_ZN2at4_ops13alpha_dropout10redispatchEN3c1014DispatchKeySetERKNS_6TensorEdb")            \
    ROW(tensor *, alpha_dropout_in_place_again, (key_set, tensor *, double, bool),                 \
        "_ZN2at4_ops14alpha_dropout_10redispatchEN3c1014DispatchKeySetERNS_6TensorEdb")            \
    ROW(returned, feature_alpha_dropout_again, (key_set, const tensor *, double, bool),            \
        "_ZN2at4_ops21feature_alpha_dropout10redispatchEN3c1014DispatchKeySetERKNS_6TensorEdb")    \
    ROW(tensor *, feature_alpha_dropout_in_place_again, (key_set, tensor *, double, bool),         \
        "_ZN2at4_ops22feature_alpha_dropout_10redispatchEN3c1014DispatchKeySetERNS_6TensorEdb")    \
    ROW(tensor *, bernoulli_tensor_again, (key_set, tensor *, const tensor *, optional_pointer *), \
        "_ZN2at4_ops17bernoulli__Tensor10redispatchEN3c1014DispatchKeySetERNS_6TensorERKS4_St8op"  \
        "tionalINS_9GeneratorEE")                                                                  \
    ROW(int32_t, threads, (uint32_t *), "torch_get_num_threads")                                   \
    ROW(returned, dropout_stock, (const tensor *, double, bool),                                   \
        "_ZN2at6native7dropoutERKNS_6TensorEdb")                                                   \
    ROW(tensor *, dropout_in_place_stock, (tensor *, double, bool),                                \
        "_ZN2at6native8dropout_ERNS_6TensorEdb")                                                   \
    ROW(returned, feature_dropout_stock, (const tensor *, double, bool),                           \
        "_ZN2at6native15feature_dropoutERKNS_6TensorEdb")                                          \
    ROW(tensor *, feature_dropout_in_place_stock, (tensor *, double, bool),                        \
        "_ZN2at6native16feature_dropout_ERNS_6TensorEdb")                                          \
    ROW(returned, alpha_dropout_stock, (const tensor *, double, bool),                             \
        "_ZN2at6native13alpha_dropoutERKNS_6TensorEdb")                                            \
    ROW(tensor *, alpha_dropout_in_place_stock, (tensor *, double, bool),                          \
        "_ZN2at6native14alpha_dropout_ERNS_6TensorEdb")                                            \
    ROW(returned, feature_alpha_dropout_stock, (const tensor *, double, bool),                     \
        "_ZN2at6native21feature_alpha_dropoutERKNS_6TensorEdb")                                    \
    ROW(tensor *, feature_alpha_dropout_in_place_stock, (tensor *, double, bool),                  \
        "_ZN2at6native22feature_alpha_dropout_ERNS_6TensorEdb")                                    \
    ROW(returned, native_dropout_stock, (const tensor *, double, optional_bool),                   \
        "_ZN2at6native18native_dropout_cpuERKNS_6TensorEdSt8optionalIbE")                          \
    ROW(tensor *, bernoulli_stock, (tensor *, double, optional_pointer *),                         \
        "_ZN2at6native10bernoulli_ERNS_6TensorEdSt8optionalINS_9GeneratorEE")                      \
    ROW(tensor *, bernoulli_tensor_stock, (tensor *, const tensor *, optional_pointer *),          \
        "_ZN2at6native10bernoulli_ERNS_6TensorERKS1_St8optionalINS_9GeneratorEE")                  \
    ROW(tensor *, bernoulli_again, (key_set, tensor *, double, optional_pointer *),                \
        "_ZN2at4_ops16bernoulli__float10redispatchEN3c1014DispatchKeySetERNS_6TensorEdSt8optional" \
        "INS_9GeneratorEE")                                                                        \
    ROW(returned, attention,                                                                       \
        (const tensor *, const tensor *, const tensor *, const optional_pointer *, double, bool,   \
         optional_double, bool),                                                                   \
        "_ZN2at6native28scaled_dot_product_attentionERKNS_6TensorES3_S3_RKSt8optionalIS1_EdbS4_Id" \
        "Eb")                                                                                      \
    ROW(returned, attention_again,                                                                 \
        (key_set, const tensor *, const tensor *, const tensor *, const optional_pointer *,        \
         double, bool, optional_double, bool),                                                     \
        "_ZN2at4_ops28scaled_dot_product_attention10redispatchEN3c1014DispatchKeySetERKNS_6Tensor" \
        "ES6_S6_RKSt8optionalIS4_EdbS7_IdEb")

#define A_POINTER(RESULT, NAME, ARGUMENTS, SYMBOL) RESULT(*NAME) ARGUMENTS;
typedef struct {
    EACH_FUNCTION(A_POINTER)
} pytorch_functions;
#undef A_POINTER

#endif
