/* SPDX-License-Identifier: BSD-3-Clause */
#include "exact.h"

#include "bits.h"

/* Ones of a word. The baseline of some machines has no instruction for it. */
FD_INLINE uint64_t
ones_of(uint64_t word)
{
    const uint64_t ones = ~(uint64_t)0;
    word -= word >> 1 & ones / 3;
    word = (word & ones / 5) + (word >> 2 & ones / 5);
    word = (word + (word >> 4)) & ones / 17;
    return word * (ones / 255) >> 56;
}

/* Ones of bits [at, at + n). */
static uint64_t
ones_among(const uint8_t *bits, uint64_t at, size_t n)
{
    uint64_t ones = 0;
    for (; n > 56; at += 56, n -= 56) {
        ones += ones_of(fd_bits_read(bits, at) & fd_low_bits(56));
    }
    return ones + ones_of(fd_bits_read(bits, at) & fd_low_bits(n));
}

size_t
fd_exact_list(const uint8_t *bits, size_t rows, size_t n, size_t k, fd_exact_row *list)
{
    size_t count = 0;
    for (size_t row = 0; row < rows; row++) {
        const uint64_t ones = ones_among(bits, (uint64_t)row * n, n);
        list[count] = (fd_exact_row){row, (int64_t)k - (int64_t)ones};
        count += ones != k;
    }
    return count;
}

/* One in n / free places can be changed: 1.2 times as many as that takes, rounded up, and one. */
FD_INLINE size_t
words_of(int64_t missing, size_t n, size_t k)
{
    const int64_t zeros = (int64_t)n - (int64_t)k;
    const int64_t needed = missing < 0 ? -missing : missing;
    const int64_t free = missing < 0 ? (int64_t)k - missing : zeros + missing;
    const double exact = 1.2 * (double)needed * (double)n / (double)free;
    const size_t whole = (size_t)exact;
    return whole + ((double)whole < exact) + 1;
}

size_t
fd_exact_words(const fd_exact_row *list, size_t count, size_t n, size_t k)
{
    size_t words = 0;
    for (size_t i = 0; i < count; i++) {
        words += words_of(list[i].missing, n, k);
    }
    return words;
}

/* What the words do to one row. No branches: they would depend on random bits. */
typedef struct {
    uint64_t n, highest; /* a place is below n; it is cut out of a word by `highest` */
    uint64_t adds, needed;
} row_change;

/* The place that a word names: 0 where it names none, which `within` tells. */
FD_INLINE uint64_t
place_of(const row_change *change, const uint8_t *word, uint64_t *within)
{
    const uint64_t place = fd_load_le64(word) & change->highest;
    *within = place < change->n;
    return place & (0 - *within);
}

/* Returns whether a bit has to be changed, and counts it. */
FD_INLINE uint64_t
changes(row_change *change, uint64_t within, uint64_t bit)
{
    const uint64_t fits = within & (bit ^ change->adds) & (change->needed != 0);
    change->needed -= fits;
    return fits;
}

/* A row that is in one word with what is before it stays in a register. */
static void
correct_short(row_change *change, uint8_t *bits, uint64_t first, const uint8_t *words, size_t tries)
{
    uint64_t row = fd_load_le64(bits + first / 8), within;
    for (size_t i = 0; i < tries; i++) {
        const uint64_t at = first % 8 + place_of(change, words + 8 * i, &within);
        row ^= changes(change, within, row >> at & 1) << at;
    }
    fd_store_le64(bits + first / 8, row);
}

static void
correct_long(row_change *change, uint8_t *bits, uint64_t first, const uint8_t *words, size_t tries)
{
    uint64_t within;
    for (size_t i = 0; i < tries; i++) {
        const uint64_t at = first + place_of(change, words + 8 * i, &within);
        const uint64_t fits = changes(change, within, bits[at / 8] >> at % 8 & 1);
        bits[at / 8] = (uint8_t)(bits[at / 8] ^ fits << at % 8);
    }
}

size_t
fd_exact_correct(uint8_t *bits, size_t n, size_t k, fd_exact_row *list, size_t count,
                 const uint8_t *words)
{
    size_t left = 0, tries;
    uint64_t highest = n - 1;
    for (int shift = 1; shift < 64; shift *= 2) {
        highest |= highest >> shift;
    }
    for (size_t i = 0; i < count; i++, words += 8 * tries) {
        const uint64_t row = list[i].row, first = row * n;
        const int64_t missing = list[i].missing;
        row_change change = {n, highest, missing > 0, (uint64_t)(missing < 0 ? -missing : missing)};
        tries = words_of(missing, n, k);
        if (first % 8 + n <= 64) {
            correct_short(&change, bits, first, words, tries);
        } else {
            correct_long(&change, bits, first, words, tries);
        }
        list[left] =
            (fd_exact_row){row, missing > 0 ? (int64_t)change.needed : -(int64_t)change.needed};
        left += change.needed != 0;
    }
    return left;
}
