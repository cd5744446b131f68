// Numbers as text: the common ones by integer arithmetic, the others by std::to_chars.
#include "base/fmt.h"

#include "base/dtoa.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { OUT_BYTES = 32 };

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

static const uint64_t powers_of_10[] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
    UINT64_C(1000000000000000000),
    UINT64_C(10000000000000000000),
};

// The bits tell the count but for one: 1233 / 4096 is log10(2).
static size_t digit_count(uint64_t v) {
    const unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);
    const unsigned guess = bits * 1233 >> 12;
    return guess + (v >= powers_of_10[guess] || guess == 0 ? 1 : 0);
}

// Exactly count digits, with zeros on the left.
static void put_digits(uint64_t v, size_t count, char *out) {
    uint64_t rest = v;
    size_t left = count;
    while (left >= 2) {
        left -= 2;
        memcpy(out + left, digit_pairs + 2 * (rest % 100), 2);
        rest /= 100;
    }
    if (left == 1) {
        out[0] = (char)('0' + rest % 10);
    }
}

size_t fmt_i64(int64_t v, char *out) {
    if (v >= 0) {
        return fmt_u64((uint64_t)v, out);
    }
    out[0] = '-';
    return 1 + fmt_u64(0 - (uint64_t)v, out + 1);
}

size_t fmt_u64(uint64_t v, char *out) {
    const size_t count = digit_count(v);
    put_digits(v, count, out);
    return count;
}

static bool is_whole(double v, double below) {
    return fabs(v) < below && (double)(int64_t)v == v && (v != 0 || !signbit(v));
}

// Numbers with at most 4 decimals, as money and measurements have. n / 10000 is rounded once, as
// a reader rounds the text, so equality proves that the text reads back; and as up to 15 digits
// differ from each other as doubles too, no other text is shorter. Returns 0 when v is not one.
static size_t fmt_decimals(double v, char *out) {
    enum { SCALE = 10000, DECIMALS = 4 };
    const double size = fabs(v);
    if (!(size < 1e11)) {
        return 0;
    }
    const uint64_t n = (uint64_t)(size * SCALE + 0.5);
    if (n == 0 || (double)n / SCALE != size) {
        return 0;
    }
    size_t len = 0;
    if (v < 0) {
        out[len++] = '-';
    }
    len += fmt_u64(n / SCALE, out + len);
    out[len++] = '.';
    put_digits(n % SCALE, DECIMALS, out + len);
    len += DECIMALS;
    while (out[len - 1] == '0') {
        len--;
    }
    return len;
}

size_t fmt_double(double v, char *out) {
    if (is_whole(v, 1e15)) {
        return fmt_i64((int64_t)v, out);
    }
    const size_t len = fmt_decimals(v, out);
    if (len > 0) {
        return len;
    }
    const double unsigned_nan = isnan(v) ? (double)NAN : v; // there is no "-nan"
    return (size_t)(dtoa_double(unsigned_nan, out, out + OUT_BYTES) - out);
}

size_t fmt_float(float v, char *out) {
    if (is_whole((double)v, 1e7)) {
        return fmt_i64((int64_t)v, out);
    }
    const float unsigned_nan = isnan(v) ? NAN : v;
    return (size_t)(dtoa_float(unsigned_nan, out, out + OUT_BYTES) - out);
}
