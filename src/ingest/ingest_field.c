// Values of delimited text: what a piece of text can be read as without losing anything, and
// reading it as that. Each reader takes exactly the texts for which csv_kinds names its kind.
#include "ingest/ingest_csv.h"

#include "base/clock.h"
#include "base/dtoa.h"

#define SECOND_US INT64_C(1000000)
#define NUMBER_BITS (CSV_BIT(CSV_INT) | CSV_BIT(CSV_HUGE) | CSV_BIT(CSV_DOUBLE))

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static size_t digits(struct str s, size_t from) {
    size_t at = from;
    while (at < s.len && is_digit(s.ptr[at])) {
        at++;
    }
    return at - from;
}

// The number of `count` digits at `at`; -1 when there are not as many.
static int number_at(struct str s, size_t at, size_t count) {
    int value = 0;
    for (size_t i = at; i < at + count; i++) {
        if (i >= s.len || !is_digit(s.ptr[i])) {
            return -1;
        }
        value = value * 10 + (s.ptr[i] - '0');
    }
    return value;
}

static bool is_date(int year, int month, int day) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 1 || month < 1 || month > 12 || day < 1) {
        return false;
    }
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= days[month - 1] + (month == 2 && leap ? 1 : 0);
}

// YYYY-MM-DD at the beginning; the rest is not looked at.
static bool is_iso_date(struct str s) {
    return s.len >= 10 && s.ptr[4] == '-' && s.ptr[7] == '-' &&
           is_date(number_at(s, 0, 4), number_at(s, 5, 2), number_at(s, 8, 2));
}

// HH:MM[:SS[.ffffff]]; *ret_end is where it ends, *ret_us the time since midnight.
static bool time_at(struct str s, size_t at, size_t *ret_end, int64_t *ret_us) {
    const int hour = number_at(s, at, 2);
    const int minute = number_at(s, at + 3, 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || s.ptr[at + 2] != ':') {
        return false;
    }
    *ret_end = at + 5;
    *ret_us = (hour * 60 + minute) * SECOND_US * 60;
    if (*ret_end == s.len || s.ptr[*ret_end] != ':') {
        return true;
    }
    const int second = number_at(s, at + 6, 2);
    if (second < 0 || second > 59) {
        return false;
    }
    *ret_end = at + 8;
    *ret_us += second * SECOND_US;
    if (*ret_end == s.len || s.ptr[*ret_end] != '.') {
        return true;
    }
    const size_t fraction = digits(s, at + 9);
    *ret_end += 1 + fraction;
    if (fraction < 1 || fraction > 6) {
        return false;
    }
    int64_t us = number_at(s, at + 9, fraction);
    for (size_t i = fraction; i < 6; i++) {
        us *= 10;
    }
    *ret_us += us;
    return true;
}

// Z, +HH, +HHMM or +HH:MM up to the end.
static bool offset_at(struct str s, size_t at, int64_t *ret_us) {
    const struct str rest = str_slice(s, at, s.len);
    *ret_us = 0;
    if (rest.len == 1) {
        return rest.ptr[0] == 'Z';
    }
    if (rest.len < 3 || (rest.ptr[0] != '+' && rest.ptr[0] != '-')) {
        return false;
    }
    const int hours = number_at(rest, 1, 2);
    if (hours < 0 || hours > 15) {
        return false;
    }
    int minutes = 0;
    if (rest.len > 3) {
        const bool colon = rest.ptr[3] == ':';
        minutes = colon ? number_at(rest, 4, 2) : number_at(rest, 3, 2);
        if (rest.len != (colon ? 6U : 5U) || minutes < 0 || minutes > 59) {
            return false;
        }
    }
    const int64_t us = (hours * 60 + minutes) * SECOND_US * 60;
    *ret_us = rest.ptr[0] == '-' ? -us : us;
    return true;
}

struct short_date {
    char sep;
    int first, second, year;
};

// D/M/YYYY or M/D/YYYY, with one or two digits, and the same with '-' and '.'.
static bool short_date(struct str s, struct short_date *ret) {
    const size_t first = digits(s, 0);
    if (first < 1 || first > 2 || s.len < first + 1) {
        return false;
    }
    const char sep = s.ptr[first];
    const size_t second = digits(s, first + 1);
    const size_t year = first + second + 2;
    if ((sep != '/' && sep != '-' && sep != '.') || second < 1 || second > 2 || s.len != year + 4 ||
        s.ptr[year - 1] != sep) {
        return false;
    }
    *ret = (struct short_date){
        .sep = sep,
        .first = number_at(s, 0, first),
        .second = number_at(s, first + 1, second),
        .year = number_at(s, year, 4),
    };
    return true;
}

static uint32_t short_date_kinds(struct str s) {
    struct short_date d;
    if (!short_date(s, &d)) {
        return 0;
    }
    const uint32_t dmy = is_date(d.year, d.second, d.first) ? 1 : 0;
    const uint32_t mdy = is_date(d.year, d.first, d.second) ? 1 : 0;
    switch (d.sep) {
    case '/':
        return dmy << CSV_DMY_SLASH | mdy << CSV_MDY_SLASH;
    case '-':
        return dmy << CSV_DMY_DASH | mdy << CSV_MDY_DASH;
    default:
        return dmy << CSV_DMY_DOT;
    }
}

static uint32_t time_kinds(struct str s) {
    size_t end = 0;
    int64_t us = 0;
    if (s.len >= 5 && s.ptr[2] == ':') {
        return time_at(s, 0, &end, &us) && end == s.len ? CSV_BIT(CSV_TIME) : 0;
    }
    if (!is_iso_date(s)) {
        return short_date_kinds(s);
    }
    if (s.len == 10) {
        return CSV_BIT(CSV_DATE) | CSV_BIT(CSV_TIMESTAMP);
    }
    if (s.len < 16 || (s.ptr[10] != ' ' && s.ptr[10] != 'T') || !time_at(s, 11, &end, &us)) {
        return 0;
    }
    if (end == s.len) {
        return CSV_BIT(CSV_TIMESTAMP);
    }
    return end >= 19 && offset_at(s, end, &us) ? CSV_BIT(CSV_TIMESTAMPTZ) : 0;
}

// An exponent that keeps the number finite, up to the end.
static bool is_exponent(struct str s, size_t at) {
    if (at >= s.len || (s.ptr[at] != 'e' && s.ptr[at] != 'E')) {
        return false;
    }
    at++;
    at += at < s.len && (s.ptr[at] == '+' || s.ptr[at] == '-') ? 1 : 0;
    const size_t count = digits(s, at);
    const int value = count >= 1 && count <= 3 ? number_at(s, at, count) : 1000;
    return at + count == s.len && value < 280;
}

// Whole numbers: without leading zeros, so that codes like 007 keep theirs.
static uint32_t whole_kinds(struct str s, size_t sign, size_t whole) {
    if (whole > 38 || (sign && s.ptr[1] == '0')) {
        return sign && s.len == 2 ? CSV_BIT(CSV_DOUBLE)
                                  : 0; // "-0" is a number, but not a whole one
    }
    int64_t value = 0;
    const struct str number = str_slice(s, 0, sign + whole);
    const uint32_t small = str_to_i64(number, &value) ? CSV_BIT(CSV_INT) : 0;
    return small | CSV_BIT(CSV_HUGE) | (whole <= 15 ? CSV_BIT(CSV_DOUBLE) : 0);
}

static uint32_t number_kinds(struct str s) {
    const size_t sign = s.ptr[0] == '-' ? 1 : 0;
    const size_t whole = digits(s, sign);
    size_t at = sign + whole;
    if (whole > 1 && s.ptr[sign] == '0') {
        return 0;
    }
    if (at == s.len) {
        return whole > 0 ? whole_kinds(s, sign, whole) : 0;
    }
    size_t fraction = 0;
    if (s.ptr[at] == '.') {
        fraction = digits(s, at + 1);
        at += 1 + fraction;
    }
    if (whole + fraction == 0 || whole > 20 || fraction > 300) {
        return 0;
    }
    return at == s.len || is_exponent(s, at) ? CSV_BIT(CSV_DOUBLE) : 0;
}

static uint32_t word_kinds(struct str s) {
    static const char *const truths[] = {"true", "false"};
    static const char *const numbers[] = {"nan", "inf", "-inf", "infinity", "-infinity"};
    for (size_t i = 0; i < ARRAY_LEN(truths); i++) {
        if (str_eq_nocase(s, str_from(truths[i]))) {
            return CSV_BIT(CSV_BOOLEAN);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (str_eq_nocase(s, str_from(numbers[i]))) {
            return CSV_BIT(CSV_DOUBLE);
        }
    }
    return 0;
}

static struct str trim_blanks(struct str s) {
    while (s.len > 0 && s.ptr[0] == ' ') {
        s = str_slice(s, 1, s.len);
    }
    while (s.len > 0 && s.ptr[s.len - 1] == ' ') {
        s.len--;
    }
    return s;
}

uint32_t csv_kinds(struct str text) {
    const struct str s = trim_blanks(text);
    if (s.len == 0 || s.len > 320) {
        return 0;
    }
    const char c = s.ptr[0];
    if (!is_digit(c) && c != '-' && c != '.') {
        return s.len <= 9 ? word_kinds(s) : 0;
    }
    const uint32_t number = number_kinds(s);
    if (number != 0) {
        return number;
    }
    return c == '-' ? word_kinds(s) : time_kinds(s);
}

const char *csv_kind_sql(enum csv_kind k) {
    static const char *const names[] = {
#define X(name, sql) sql,
        CSV_KINDS(X)
#undef X
    };
    return k < CSV_TEXT ? names[k] : "VARCHAR";
}

bool csv_fits_int32(struct str text) {
    const struct str s = trim_blanks(text);
    int64_t value = 0;
    return (csv_kinds(s) & CSV_BIT(CSV_INT)) != 0 && str_to_i64(s, &value) && value >= INT32_MIN &&
           value <= INT32_MAX;
}

bool csv_fits_decimal(struct str text, int32_t precision, int32_t scale) {
    const struct str s = trim_blanks(text);
    if ((csv_kinds(s) & NUMBER_BITS) == 0) {
        return false;
    }
    const size_t sign = s.ptr[0] == '-' ? 1 : 0;
    const size_t whole = digits(s, sign);
    size_t fraction = 0;
    if (sign + whole < s.len) {
        fraction = digits(s, sign + whole + 1);
        if (s.ptr[sign + whole] != '.' || sign + whole + 1 + fraction != s.len) {
            return false;
        }
    }
    while (fraction > 0 && s.ptr[sign + whole + fraction] == '0') {
        fraction--;
    }
    const size_t used = whole == 1 && s.ptr[sign] == '0' ? 0 : whole;
    return used <= (size_t)(precision - scale) && fraction <= (size_t)scale;
}

static int64_t iso_days(struct str s) {
    return clock_days(number_at(s, 0, 4), number_at(s, 5, 2), number_at(s, 8, 2));
}

static bool read_boolean(struct str text, void *ret) {
    const struct str s = trim_blanks(text);
    const bool yes = str_eq_nocase(s, STR("true"));
    *(uint8_t *)ret = yes;
    return yes || str_eq_nocase(s, STR("false"));
}

static bool read_int(struct str text, void *ret) {
    const struct str s = trim_blanks(text);
    const size_t sign = s.len > 0 && s.ptr[0] == '-' ? 1 : 0;
    const bool zeros = s.len > 1 && s.ptr[sign] == '0'; // 007, -0
    return !zeros && str_to_i64(s, ret);
}

static bool read_double(struct str text, void *ret) {
    const struct str s = trim_blanks(text);
    return (csv_kinds(s) & CSV_BIT(CSV_DOUBLE)) != 0 && dtoa_read(s.ptr, s.ptr + s.len, ret);
}

static bool read_date(struct str text, void *ret) {
    const struct str s = trim_blanks(text);
    if (s.len != 10 || !is_iso_date(s)) {
        return false;
    }
    *(int32_t *)ret = (int32_t)iso_days(s);
    return true;
}

static bool read_short_date(struct str text, char sep, bool month_first, void *ret) {
    struct short_date d;
    if (!short_date(trim_blanks(text), &d) || d.sep != sep) {
        return false;
    }
    const int month = month_first ? d.first : d.second;
    const int day = month_first ? d.second : d.first;
    if (!is_date(d.year, month, day)) {
        return false;
    }
    *(int32_t *)ret = (int32_t)clock_days(d.year, month, day);
    return true;
}

static bool read_dmy_slash(struct str text, void *ret) {
    return read_short_date(text, '/', false, ret);
}

static bool read_mdy_slash(struct str text, void *ret) {
    return read_short_date(text, '/', true, ret);
}

static bool read_dmy_dash(struct str text, void *ret) {
    return read_short_date(text, '-', false, ret);
}

static bool read_mdy_dash(struct str text, void *ret) {
    return read_short_date(text, '-', true, ret);
}

static bool read_dmy_dot(struct str text, void *ret) {
    return read_short_date(text, '.', false, ret);
}

static bool read_timestamp(struct str text, void *ret) {
    const struct str s = trim_blanks(text);
    size_t end = 10;
    int64_t us = 0;
    if (!is_iso_date(s) ||
        (s.len > 10 && ((s.ptr[10] != ' ' && s.ptr[10] != 'T') || !time_at(s, 11, &end, &us)))) {
        return false;
    }
    *(int64_t *)ret = iso_days(s) * 86400 * SECOND_US + us;
    return end == s.len;
}

static bool read_timestamptz(struct str text, void *ret) {
    const struct str s = trim_blanks(text);
    size_t end = 0;
    int64_t us = 0;
    int64_t offset_us = 0;
    if (!is_iso_date(s) || s.len < 20 || (s.ptr[10] != ' ' && s.ptr[10] != 'T') ||
        !time_at(s, 11, &end, &us) || end < 19 || !offset_at(s, end, &offset_us)) {
        return false;
    }
    *(int64_t *)ret = iso_days(s) * 86400 * SECOND_US + us - offset_us;
    return true;
}

static bool read_time(struct str text, void *ret) {
    const struct str s = trim_blanks(text);
    size_t end = 0;
    return s.len >= 5 && time_at(s, 0, &end, ret) && end == s.len;
}

static const struct engine_reader readers[CSV_KIND_COUNT] = {
    [CSV_BOOLEAN] = {"tarn_read_boolean", VEC_BOOL, read_boolean},
    [CSV_INT] = {"tarn_read_int", VEC_INT64, read_int},
    [CSV_DOUBLE] = {"tarn_read_double", VEC_DOUBLE, read_double},
    [CSV_DATE] = {"tarn_read_date", VEC_DATE, read_date},
    [CSV_DMY_SLASH] = {"tarn_read_dmy_slash", VEC_DATE, read_dmy_slash},
    [CSV_MDY_SLASH] = {"tarn_read_mdy_slash", VEC_DATE, read_mdy_slash},
    [CSV_DMY_DASH] = {"tarn_read_dmy_dash", VEC_DATE, read_dmy_dash},
    [CSV_MDY_DASH] = {"tarn_read_mdy_dash", VEC_DATE, read_mdy_dash},
    [CSV_DMY_DOT] = {"tarn_read_dmy_dot", VEC_DATE, read_dmy_dot},
    [CSV_TIMESTAMP] = {"tarn_read_timestamp", VEC_TIMESTAMP, read_timestamp},
    [CSV_TIMESTAMPTZ] = {"tarn_read_timestamptz", VEC_TIMESTAMPTZ, read_timestamptz},
    [CSV_TIME] = {"tarn_read_time", VEC_TIME, read_time},
};

const struct engine_reader *csv_kind_reader(enum csv_kind k) {
    return k < CSV_TEXT && readers[k].name != NULL ? &readers[k] : NULL;
}

enum err_code csv_readers_open(struct engine *e, struct err *err) {
    for (size_t k = 0; k < CSV_KIND_COUNT; k++) {
        const struct engine_reader *r = csv_kind_reader((enum csv_kind)k);
        if (r != NULL) {
            TRY(engine_reader_add(e, r, err));
        }
    }
    return ERR_OK;
}
