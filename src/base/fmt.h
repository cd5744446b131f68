// Numbers as text, for JSON, CSV and every other encoder.
//
// out has room for at least 32 bytes and gets no NUL; the length is returned.
#pragma once

#include <stddef.h>
#include <stdint.h>

size_t fmt_i64(int64_t v, char *out);
size_t fmt_u64(uint64_t v, char *out);
// The fewest digits that read back as v: "1.5", "100000", "1e+300", "-0", "nan", "inf", "-inf".
size_t fmt_double(double v, char *out);
size_t fmt_float(float v, char *out);
