// Time: wall clock, monotonic clock and their text forms, with a seam for tests.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

int64_t clock_wall_us(void); // microseconds since 1970, UTC
int64_t clock_mono_us(void); // never goes back; only differences mean something
int64_t clock_cpu_us(void);  // CPU time of this thread

// Days since 1970 of a day in the Gregorian calendar; it must be one.
int64_t clock_days(int year, int month, int day);

// Tests: replaces the wall clock; NULL puts the real one back.
void clock_set_wall(int64_t (*fn)(void));

// 2026-11-22T09:30:00.123456Z
struct str clock_rfc3339(int64_t wall_us, struct arena *a);
// The same into out, which has room for CLOCK_TEXT_MAX bytes; NUL-terminated. Returns the length.
#define CLOCK_TEXT_MAX 40
size_t clock_text(int64_t wall_us, char *out);
// Reads RFC 3339 with any offset, or a date with or without time (taken as UTC); digits past the
// microsecond are dropped. False if it is not one.
bool clock_parse(struct str s, int64_t *ret_wall_us);
