// Shortest decimal text of floating point numbers, by std::to_chars.
#include "base/dtoa.h"

#include <charconv>

char *dtoa_double(double v, char *first, char *last) {
    return std::to_chars(first, last, v).ptr;
}

char *dtoa_float(float v, char *first, char *last) {
    return std::to_chars(first, last, v).ptr;
}
