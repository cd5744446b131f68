// Shortest decimal text of floating point numbers that reads back as the same number.
//
// The one C++ file of this folder is behind it: std::to_chars is the fastest that the platform has.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// Writes from first, not past last, without a NUL; returns the end. 32 bytes are always enough.
char *dtoa_double(double v, char *first, char *last);
char *dtoa_float(float v, char *first, char *last);

#ifdef __cplusplus
}
#endif
