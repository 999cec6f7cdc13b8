/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The batteries of TestU01, of words that a function of the caller's brings. testu01.py compiles
 * and loads it.
 */
#include <stdint.h>
#include <string.h>

#include <testu01/bbattery.h>
#include <testu01/swrite.h>
#include <testu01/unif01.h>

/* Gives bytes that stay until it is asked again, and says how many: a multiple of 4, above 0. */
typedef const unsigned char *(*refill_function)(size_t *size);

static refill_function refill;
static const unsigned char *next, *end;

static void
make_sure_of_bytes(void)
{
    if (next == end) {
        size_t size;
        next = refill(&size);
        end = next + size;
    }
}

static unsigned int
next_word(void)
{
    uint32_t word;
    make_sure_of_bytes();
    memcpy(&word, next, sizeof word);
    next += sizeof word;
    return word;
}

/* Von Neumann's fair bits: of two neighbours that differ, the first. What is left of an octet stays
 * for the next word. */
static uint64_t fair;
static int fair_bits;

static unsigned int
next_fair_word(void)
{
    static uint8_t of_octet[256], number[256];
    if (number[1] == 0)
        for (int octet = 0; octet < 256; octet++)
            for (int place = 0; place < 8; place += 2)
                if ((octet >> place ^ octet >> (place + 1)) & 1)
                    of_octet[octet] |= (octet >> place & 1) << number[octet]++;
    while (fair_bits < 32) {
        make_sure_of_bytes();
        fair |= (uint64_t)of_octet[*next] << fair_bits;
        fair_bits += number[*next++];
    }
    const uint32_t word = (uint32_t)fair;
    fair >>= 32;
    fair_bits -= 32;
    return word;
}

/* Runs one test, or all where it is 0, of battery 0, 1 or 2: SmallCrush, Crush, BigCrush. Words are
 * those of the bytes, or of the fair bits that are in them. */
void
run_battery(int battery, int test, int of_fair_bits, refill_function from)
{
    static void (*const whole[])(unif01_Gen *) = {bbattery_SmallCrush, bbattery_Crush,
                                                  bbattery_BigCrush};
    static void (*const some[])(unif01_Gen *, int *) = {
        bbattery_RepeatSmallCrush, bbattery_RepeatCrush, bbattery_RepeatBigCrush};
    int repeats[256] = {0};
    refill = from;
    next = end = NULL;
    fair = 0;
    fair_bits = 0;
    swrite_Basic = FALSE;
    unif01_Gen *generator =
        unif01_CreateExternGenBits("words", of_fair_bits ? next_fair_word : next_word);
    if (test == 0)
        whole[battery](generator);
    else {
        repeats[test] = 1;
        some[battery](generator, repeats);
    }
    unif01_DeleteExternGenBits(generator);
}
