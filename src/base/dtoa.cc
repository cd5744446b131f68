// Floating point numbers to text and back, by std::to_chars and std::from_chars.
#include "base/dtoa.h"

#include <charconv>
#include <cstdlib>
#include <string>

char *dtoa_double(double v, char *first, char *last) {
    return std::to_chars(first, last, v).ptr;
}

char *dtoa_float(float v, char *first, char *last) {
    return std::to_chars(first, last, v).ptr;
}

bool dtoa_read(const char *first, const char *last, double *ret) {
    double v = 0;
    const std::from_chars_result r = std::from_chars(first, last, v);
    if (r.ptr != last || (r.ec != std::errc() && r.ec != std::errc::result_out_of_range)) {
        return false;
    }
    if (r.ec == std::errc::result_out_of_range) {
        // Rare: from_chars does not say which end of the range it is.
        v = std::strtod(std::string(first, last).c_str(), nullptr);
        if (v > 1 || v < -1) {
            return false;
        }
    }
    *ret = v;
    return true;
}
