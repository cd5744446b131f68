// UTF-8: the length of one character, and which it is, for everything that walks over text.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes of the well-formed character at p (1 to 4), of which len > 0 may be read; 0 when there is
// none: a stray or missing continuation byte, an overlong form, a surrogate, past U+10FFFF.
static inline size_t utf8_char_len(const char *p, size_t len) {
    const unsigned char *c = (const unsigned char *)p;
    if (c[0] < 0x80) {
        return 1;
    }
    if (c[0] < 0xC2 || c[0] > 0xF4 || len < 2 || (c[1] & 0xC0) != 0x80) {
        return 0;
    }
    if (c[0] < 0xE0) {
        return 2;
    }
    if (len < 3 || (c[2] & 0xC0) != 0x80) {
        return 0;
    }
    if (c[0] < 0xF0) {
        const bool overlong = c[0] == 0xE0 && c[1] < 0xA0;
        const bool surrogate = c[0] == 0xED && c[1] > 0x9F;
        return overlong || surrogate ? 0 : 3;
    }
    const bool overlong = c[0] == 0xF0 && c[1] < 0x90;
    const bool too_high = c[0] == 0xF4 && c[1] > 0x8F;
    return overlong || too_high || len < 4 || (c[3] & 0xC0) != 0x80 ? 0 : 4;
}

// The code point of a well-formed character of that length.
static inline uint32_t utf8_code_point(const char *p, size_t len) {
    static const unsigned char lead_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t ret = (unsigned char)p[0] & lead_bits[len];
    for (size_t i = 1; i < len; i++) {
        ret = (ret << 6) | ((unsigned char)p[i] & 0x3FU);
    }
    return ret;
}
