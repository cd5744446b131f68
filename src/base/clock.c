// Time: the kernel's clocks, and RFC 3339 by the proleptic Gregorian calendar in UTC.
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static const int64_t second_us = 1000000;
static const int64_t minute_us = 60 * second_us;
static const int64_t hour_us = 60 * minute_us;
static const int64_t day_us = 24 * hour_us;

static int64_t read_clock(clockid_t id) {
    struct timespec now;
    CHECK(clock_gettime(id, &now) == 0);
    return now.tv_sec * second_us + now.tv_nsec / 1000;
}

static int64_t real_wall(void) {
    return read_clock(CLOCK_REALTIME);
}

static int64_t (*_Atomic wall)(void) = real_wall;

int64_t clock_wall_us(void) {
    return atomic_load_explicit(&wall, memory_order_relaxed)();
}

int64_t clock_mono_us(void) {
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_cpu_us(void) {
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void clock_set_wall(int64_t (*fn)(void)) {
    atomic_store(&wall, fn ? fn : real_wall);
}

struct date {
    int64_t year;
    int month; // 1 to 12
    int day;   // 1 to 31
};

// The calendar repeats every 400 years (146097 days). A year that starts in March has its leap
// day at the end, so that the days before a month follow from the month alone.
static int64_t days_from_date(struct date d) {
    const int64_t year = d.month > 2 ? d.year : d.year - 1;
    const int64_t era = (year >= 0 ? year : year - 399) / 400;
    const int64_t year_of_era = year - era * 400;
    const int64_t month = d.month > 2 ? d.month - 3 : d.month + 9;
    const int64_t day_of_year = (153 * month + 2) / 5 + d.day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468; // from 0000-03-01 to 1970-01-01
}

int64_t clock_days(int year, int month, int day) {
    return days_from_date((struct date){year, month, day});
}

static struct date date_from_days(int64_t days) {
    const int64_t shifted = days + 719468;
    const int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    const int64_t day_of_era = shifted - era * 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int month = (int)((5 * day_of_year + 2) / 153);
    return (struct date){
        .year = era * 400 + year_of_era + (month >= 10 ? 1 : 0),
        .month = month < 10 ? month + 3 : month - 9,
        .day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
    };
}

size_t clock_text(int64_t wall_us, char *out) {
    const bool before_1970 = wall_us % day_us < 0;
    const int64_t days = wall_us / day_us - (before_1970 ? 1 : 0);
    const int64_t us = wall_us % day_us + (before_1970 ? day_us : 0);
    const struct date d = date_from_days(days);
    const int len =
        snprintf(out, CLOCK_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", (int)d.year, d.month,
                 d.day, (int)(us / hour_us), (int)(us / minute_us % 60), (int)(us / second_us % 60),
                 (int)(us % second_us));
    CHECK(len > 0 && len < CLOCK_TEXT_MAX);
    return (size_t)len;
}

struct str clock_rfc3339(int64_t wall_us, struct arena *a) {
    char text[CLOCK_TEXT_MAX];
    const size_t len = clock_text(wall_us, text);
    return arena_str(a, (struct str){text, len});
}

static bool take_char(struct str *s, char c) {
    if (s->len == 0 || s->ptr[0] != c) {
        return false;
    }
    *s = str_slice(*s, 1, s->len);
    return true;
}

static bool take_any(struct str *s, const char *chars) {
    for (; *chars; chars++) {
        if (take_char(s, *chars)) {
            return true;
        }
    }
    return false;
}

static bool is_digit(struct str s) {
    return s.len > 0 && s.ptr[0] >= '0' && s.ptr[0] <= '9';
}

// Exactly count digits, with a value of at most max.
static bool take_number(struct str *s, int count, int max, int *ret) {
    int v = 0;
    for (int i = 0; i < count; i++) {
        if (!is_digit(*s)) {
            return false;
        }
        v = v * 10 + (s->ptr[0] - '0');
        *s = str_slice(*s, 1, s->len);
    }
    *ret = v;
    return v <= max;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool take_date(struct str *s, int64_t *ret_us) {
    int year = 0;
    int month = 0;
    int day = 0;
    if (!take_number(s, 4, 9999, &year) || !take_char(s, '-') || !take_number(s, 2, 12, &month) ||
        month == 0 || !take_char(s, '-')) {
        return false;
    }
    if (!take_number(s, 2, days_in_month(year, month), &day) || day == 0) {
        return false;
    }
    *ret_us = days_from_date((struct date){year, month, day}) * day_us;
    return true;
}

// ".5" to ".500000": digits past the sixth are read and dropped.
static bool take_fraction(struct str *s, int64_t *ret_us) {
    if (!take_char(s, '.')) {
        return true;
    }
    int64_t scale = second_us / 10;
    if (!is_digit(*s)) {
        return false;
    }
    while (is_digit(*s)) {
        *ret_us += (s->ptr[0] - '0') * scale;
        scale /= 10;
        *s = str_slice(*s, 1, s->len);
    }
    return true;
}

// "09:30", "09:30:00" or "09:30:00.25". A leap second is the first of the next minute.
static bool take_time(struct str *s, int64_t *ret_us) {
    int hour = 0;
    int minute = 0;
    int second = 0;
    if (!take_number(s, 2, 23, &hour) || !take_char(s, ':') || !take_number(s, 2, 59, &minute)) {
        return false;
    }
    *ret_us = hour * hour_us + minute * minute_us;
    if (!take_char(s, ':')) {
        return true;
    }
    if (!take_number(s, 2, 60, &second)) {
        return false;
    }
    *ret_us += second * second_us;
    return take_fraction(s, ret_us);
}

// "Z", "+02:00", "+02" or nothing, which is UTC.
static bool take_offset(struct str *s, int64_t *ret_us) {
    if (s->len == 0 || take_any(s, "Zz")) {
        *ret_us = 0;
        return true;
    }
    const bool west = s->ptr[0] == '-';
    int hour = 0;
    int minute = 0;
    if (!take_any(s, "+-") || !take_number(s, 2, 23, &hour)) {
        return false;
    }
    if (take_char(s, ':') && !take_number(s, 2, 59, &minute)) {
        return false;
    }
    const int64_t offset = hour * hour_us + minute * minute_us;
    *ret_us = west ? -offset : offset;
    return true;
}

bool clock_parse(struct str s, int64_t *ret_wall_us) {
    int64_t date = 0;
    int64_t time = 0;
    int64_t offset = 0;
    if (!take_date(&s, &date)) {
        return false;
    }
    if (s.len > 0 && (!take_any(&s, "Tt ") || !take_time(&s, &time) || !take_offset(&s, &offset))) {
        return false;
    }
    if (s.len > 0) {
        return false;
    }
    *ret_wall_us = date + time - offset;
    return true;
}
