// Floating point numbers: their shortest decimal text that reads back as the same, and back.
//
// The one C++ file of this folder is behind it: std::to_chars and
// std::from_chars are the fastest that the platform has.
#pragma once

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

// Writes from first, not past last, without a NUL; returns the end. 32 bytes are always enough.
char *dtoa_double(double v, char *first, char *last);
char *dtoa_float(float v, char *first, char *last);
// Reads all of the text: [-] digits [. digits] [e [+-] digits], inf, infinity or nan in any case.
// What is too small becomes 0. False, and *ret untouched: it is none of these, or too large.
bool dtoa_read(const char *first, const char *last, double *ret);

#ifdef __cplusplus
}
#endif
