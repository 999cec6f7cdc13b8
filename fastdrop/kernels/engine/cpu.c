/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu.h"

#if defined(FD_X86_64) && !defined(FD_MSVC)
#include <cpuid.h>
#endif
#ifdef __APPLE__
#include <stdlib.h>
#include <sys/sysctl.h>
#elif defined(_WIN32) && !defined(FD_X86_64)
#include <stdlib.h>
#include <windows.h>
#elif defined(__linux__) && !defined(FD_X86_64)
#include <stdio.h>
#endif

/* A build for two architectures compiles this file for each, with the levels of both. */
#ifdef FD_X86_64
#undef FD_HAVE_NEON
#else
#undef FD_HAVE_SSE2
#undef FD_HAVE_AVX2
#undef FD_HAVE_AVX512
#endif

const char fd_cpu_built[] = "scalar"
#ifdef FD_HAVE_SSE2
                            ",sse2"
#endif
#ifdef FD_HAVE_AVX2
                            ",avx2"
#endif
#ifdef FD_HAVE_AVX512
                            ",avx512"
#endif
#ifdef FD_HAVE_NEON
                            ",neon"
#endif
    ;

const char fd_cpu_left_out[] = ""
#if defined(FD_X86_64) && !defined(FD_HAVE_SSE2)
                               ",sse2"
#endif
#if defined(FD_X86_64) && !defined(FD_HAVE_AVX2)
                               ",avx2"
#endif
#if defined(FD_X86_64) && !defined(FD_HAVE_AVX512)
                               ",avx512"
#endif
#if defined(FD_ARM64) && !defined(FD_HAVE_NEON)
                               ",neon"
#endif
    ;

#ifdef __APPLE__
/* A number that the system knows by this name, or 0. */
static uint64_t
system_number(const char *name)
{
    uint64_t number = 0; /* some of them have 4 bytes: the low ones */
    size_t size = sizeof number;
    return sysctlbyname(name, &number, &size, NULL, 0) == 0 ? number : 0;
}
#endif

#ifdef FD_X86_64

typedef struct {
    uint32_t eax, ebx, ecx, edx;
} cpuid_answer;

static cpuid_answer
cpuid(uint32_t leaf, uint32_t subleaf)
{
    cpuid_answer answer = {0, 0, 0, 0};
#ifdef FD_MSVC
    int registers[4];
    __cpuid(registers, (int)(leaf & 0x80000000u));
    if ((uint32_t)registers[0] >= leaf) {
        __cpuidex(registers, (int)leaf, (int)subleaf);
        answer.eax = (uint32_t)registers[0];
        answer.ebx = (uint32_t)registers[1];
        answer.ecx = (uint32_t)registers[2];
        answer.edx = (uint32_t)registers[3];
    }
#else
    __get_cpuid_count(leaf, subleaf, &answer.eax, &answer.ebx, &answer.ecx, &answer.edx);
#endif
    return answer;
}

#if defined(FD_HAVE_AVX2) || defined(FD_HAVE_AVX512)

/* Which register files the operating system saves. */
static uint64_t
xcr0(void)
{
#ifdef FD_MSVC
    return _xgetbv(0);
#else
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
#endif
}

static int
has_bits(uint64_t value, uint64_t bits)
{
    return (value & bits) == bits;
}

#define BIT(n) ((uint64_t)1 << (n))

static int
has_avx2(void)
{
    const uint64_t osxsave = BIT(27), avx = BIT(28), f16c = BIT(29), popcnt = BIT(23);
    const uint64_t avx2 = BIT(5), bmi1 = BIT(3), bmi2 = BIT(8);
    const uint64_t sse_state = BIT(1), avx_state = BIT(2);
    return has_bits(cpuid(1, 0).ecx, osxsave | avx | f16c | popcnt) &&
           has_bits(xcr0(), sse_state | avx_state) && has_bits(cpuid(7, 0).ebx, avx2 | bmi1 | bmi2);
}

#endif

#ifdef FD_HAVE_AVX512

/* Whether the operating system saves the registers of AVX-512. */
static int
saves_avx512(void)
{
#ifdef __APPLE__
    /* macOS turns them on when a thread first uses one, so XCR0 does not tell. Kernels before 21.3
     * could lose mask registers in a signal handler. */
    char release[32] = "";
    size_t size = sizeof release - 1;
    if (sysctlbyname("kern.osrelease", release, &size, NULL, 0) != 0) {
        return 0;
    }
    char *rest;
    const long major = strtol(release, &rest, 10);
    const long minor = *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;
    return system_number("hw.optional.avx512f") != 0 && (major > 21 || (major == 21 && minor >= 3));
#else
    const uint64_t opmask_state = BIT(5), zmm_states = BIT(6) | BIT(7);
    return has_bits(xcr0(), opmask_state | zmm_states);
#endif
}

static int
has_avx512(void)
{
    const uint64_t f = BIT(16), dq = BIT(17), bw = BIT(30), vl = BIT(31);
    return has_avx2() && saves_avx512() && has_bits(cpuid(7, 0).ebx, f | dq | bw | vl);
}

#endif

#endif

int
fd_cpu_tables(const fd_kernels *tables[FD_MAX_TABLES])
{
    int count = 0;
    tables[count++] = &fd_kernels_scalar;
#ifdef FD_HAVE_SSE2
    tables[count++] = &fd_kernels_sse2;
#endif
#ifdef FD_HAVE_AVX2
    if (has_avx2()) {
        tables[count++] = &fd_kernels_avx2;
    }
#endif
#ifdef FD_HAVE_AVX512
    if (has_avx512()) {
        tables[count++] = &fd_kernels_avx512;
    }
#endif
#ifdef FD_HAVE_NEON
    tables[count++] = &fd_kernels_neon;
#endif
    return count;
}

/* Size of the largest cache that this machine tells of, or 0. */
static size_t
largest_cache(void)
{
    size_t largest = 0;
#ifdef FD_X86_64
    /* Deterministic cache parameters: leaf 4 of Intel, 0x8000001D of AMD, in the same format. */
    const uint32_t leaves[2] = {4, 0x8000001Du};
    for (int i = 0; i < 2; i++) {
        for (uint32_t index = 0; index < 8; index++) {
            const cpuid_answer cache = cpuid(leaves[i], index);
            if ((cache.eax & 31) == 0) {
                break;
            }
            const size_t ways = (cache.ebx >> 22) + 1, partitions = (cache.ebx >> 12 & 1023) + 1;
            const size_t line = (cache.ebx & 4095) + 1, sets = (size_t)cache.ecx + 1;
            const size_t size = ways * partitions * line * sets;
            largest = size > largest ? size : largest;
        }
    }
#elif defined(__APPLE__)
    /* perflevel0 are the fast cores. */
    const char *const names[] = {"hw.l3cachesize", "hw.perflevel0.l2cachesize", "hw.l2cachesize"};
    for (int i = 0; i < 3; i++) {
        const size_t size = (size_t)system_number(names[i]);
        largest = size > largest ? size : largest;
    }
#elif defined(_WIN32)
    DWORD bytes = 0;
    GetLogicalProcessorInformation(NULL, &bytes);
    SYSTEM_LOGICAL_PROCESSOR_INFORMATION *parts = malloc(bytes);
    if (parts != NULL && GetLogicalProcessorInformation(parts, &bytes)) {
        for (size_t i = 0; i < bytes / sizeof *parts; i++) {
            if (parts[i].Relationship == RelationCache && parts[i].Cache.Size > largest) {
                largest = parts[i].Cache.Size;
            }
        }
    }
    free(parts);
#elif defined(__linux__)
    /* sysconf does not know it on every architecture, nor with every C library. */
    for (int index = 0; index < 8; index++) {
        char path[64];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", index);
        FILE *const file = fopen(path, "r");
        if (file == NULL) {
            break;
        }
        size_t size = 0;
        char unit = ' ';
        if (fscanf(file, "%zu%c", &size, &unit) == 2) {
            size <<= unit == 'K' ? 10 : unit == 'M' ? 20 : 0;
        }
        largest = size > largest ? size : largest;
        fclose(file);
    }
#endif
    return largest;
}

size_t
fd_cpu_last_level_cache(void)
{
    const size_t largest = largest_cache();
    return largest ? largest : (size_t)16 << 20;
}
