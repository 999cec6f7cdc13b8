/* SPDX-License-Identifier: BSD-3-Clause */
#include "bits.h"

#include "broadcast.h"

/* Makes bits [at, at + count) that are 0 so far ones. */
static void
bits_fill(uint8_t *bits, size_t at, size_t count)
{
    const size_t before = fd_min((8 - at % 8) % 8, count), bytes = (count - before) / 8;
    bits[at / 8] |= (uint8_t)(fd_low_bits(before) << at % 8);
    memset(bits + (at + before) / 8, 0xFF, bytes);
    bits[(at + before) / 8 + bytes] |= (uint8_t)fd_low_bits((count - before) % 8);
}

void
fd_bits_place(uint8_t *FD_RESTRICT to, uint64_t at, const uint8_t *FD_RESTRICT bits, size_t count)
{
    const unsigned shift = (unsigned)(at % 8);
    size_t i = 0;
    to += at / 8;
    uint64_t carry = count ? to[0] : 0;
    for (; i + 64 <= count; i += 64) {
        const uint64_t word = fd_load_le64(bits + i / 8);
        fd_store_le64(to + i / 8, word << shift | carry);
        carry = word >> 1 >> (63 - shift);
    }
    for (; i < shift + count; i += 8) {
        carry |= i < count ? (uint64_t)bits[i / 8] << shift : 0;
        to[i / 8] |= (uint8_t)carry;
        carry >>= 8;
    }
}

/* A byte abcdefgh becomes 0000abcd0000efgh, 00ab00cd00ef00gh, 0a0b0c0d0e0f0g0h and aabbccddeeffgghh. */
void
fd_bits_double(const uint8_t *FD_RESTRICT bits, size_t n, uint8_t *FD_RESTRICT doubled)
{
    for (size_t i = 0; i < n; i += 8) {
        uint32_t x = bits[i / 8];
        x = (x | x << 4) & 0x0F0Fu;
        x = (x | x << 2) & 0x3333u;
        x = (x | x << 1) & 0x5555u;
        x |= x << 1;
        doubled[i / 4] = (uint8_t)x;
        doubled[i / 4 + 1] = (uint8_t)(x >> 8);
    }
}

void
fd_bits_shift(const uint8_t *FD_RESTRICT bits, uint64_t first, size_t n, uint8_t *FD_RESTRICT to)
{
    const unsigned shift = (unsigned)(first % 8);
    bits += first / 8;
    for (size_t i = 0; i < n; i += 64, bits += 8) {
        const uint64_t word = fd_load_le64(bits) >> shift;
        fd_store_le64(to + i / 8, word | (uint64_t)bits[8] << 1 << (63 - shift));
    }
}

/* Bits [at + done, at + n): copies of the `count` bits from `at` on. */
static void
bits_go_on(uint8_t *to, size_t at, size_t count, size_t done, size_t n)
{
    for (size_t bits; done < n; done += bits) {
        bits = fd_min(fd_min(56, n - done), done - done % count);
        fd_bits_write(to, at + done, fd_bits_read(to, at + done % count), bits);
    }
}

/* Where there are many, they are repeated as bytes, from the first whole one on. */
void
fd_bits_repeat(uint8_t *to, size_t at, const uint8_t *from, uint64_t from_at, size_t count,
               size_t n)
{
    const size_t part = (8 - at % 8) % 8;
    const size_t period = count % 8 == 0 ? count : count % 4 == 0 ? 2 * count : 8 * count;
    for (size_t done = 0, bits; done < count; done += bits) {
        bits = fd_min(56, count - done);
        fd_bits_write(to, at + done, fd_bits_read(from, from_at + done), bits);
    }
    if (n <= part + period) {
        bits_go_on(to, at, count, count, n);
        return;
    }
    const size_t bytes = (n - part) / 8;
    bits_go_on(to, at, count, count, part + period);
    fd_repeat(to + (at + part) / 8, period / 8, bytes);
    bits_go_on(to, at, count, part + 8 * bytes, n);
}

void
fd_bits_stretch(uint8_t *to, size_t at, const uint8_t *from, uint64_t from_at, size_t count,
                size_t length)
{
    if (length > 64) {
        for (size_t i = 0; i < count; i++, at += length) {
            if (fd_bits_read(from, from_at + i) & 1) {
                bits_fill(to, at, length);
            }
        }
        return;
    }
    size_t begun = at % 64; /* bits of the word that are there */
    uint64_t word = 0;
    to += at / 64 * 8;
    for (size_t i = 0; i < count; i++) {
        const uint64_t ones = (0 - (fd_bits_read(from, from_at + i) & 1)) & fd_low_bits(length);
        word |= ones << begun;
        begun += length;
        if (begun >= 64) {
            begun -= 64;
            fd_store_le64(to, fd_load_le64(to) | word);
            to += 8;
            word = begun ? ones >> (length - begun) : 0;
        }
    }
    if (begun) {
        fd_store_le64(to, fd_load_le64(to) | word);
    }
}
