// Guard, text: what is refused before the engine's parser sees it.
//
// The parser heeds no deadline, and some texts cost it more than their length. A run of + and - is
// taken off character by character, each time with a look at all that is left, twice over: 12 kB of
// them take minutes. So do comments that begin in such a run: each is looked for in all of it. A
// chain of AND or OR is copied for each of its parts. What is counted here is counted everywhere,
// also in strings and comments: the limits are far above what anybody writes.
#include "guard/guard_int.h"

#define RUN_COST_MAX 1000000000 // about a second
#define COMMENT_COST 16
#define CHAIN_MAX 10000 // of AND and OR

static bool is_operator(char c) {
    return c != '\0' && strchr("~!@#^&|`?+-*/%<>=", c) != NULL;
}

// Of the run of operator characters that begins at `at`; its end in *ret_end.
static uint64_t run_cost(struct str sql, size_t at, size_t *ret_end) {
    uint64_t signs = 0;
    uint64_t comments = 0;
    size_t end = at;
    for (; end < sql.len && is_operator(sql.ptr[end]); end++) {
        signs += sql.ptr[end] == '+' || sql.ptr[end] == '-' ? 1 : 0;
        comments += end > at && sql.ptr[end - 1] == '/' && sql.ptr[end] == '*' ? 1 : 0;
    }
    *ret_end = end;
    return (end - at) * (1 + COMMENT_COST * comments + signs * signs);
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_chain(struct str word) {
    return str_eq_nocase(word, STR("AND")) || str_eq_nocase(word, STR("OR"));
}

static enum err_code too_costly(size_t at, const char *what, struct err *err) {
    (void)err_set(err, ERR_TOO_LARGE, "the statement has too many %s", what);
    err->position = (int64_t)at;
    return ERR_TOO_LARGE;
}

static enum err_code check_cost(struct str sql, struct err *err) {
    uint64_t cost = 0;
    size_t chain = 0;
    size_t end = 0;
    for (size_t at = 0; at < sql.len; at = end) {
        end = at + 1;
        if (is_operator(sql.ptr[at])) {
            cost += run_cost(sql, at, &end);
        } else if (is_letter(sql.ptr[at])) {
            while (end < sql.len && is_letter(sql.ptr[end])) {
                end++;
            }
            chain += is_chain(str_slice(sql, at, end)) ? 1 : 0;
        }
        if (cost > RUN_COST_MAX) {
            return too_costly(at, "operators and comments in a row", err);
        }
        if (chain > CHAIN_MAX) {
            return too_costly(at, "parts that AND and OR join", err);
        }
    }
    return ERR_OK;
}

enum err_code guard_check_text(struct str sql, struct err *err) {
    if (sql.len > GUARD_TEXT_MAX) {
        return err_set(err, ERR_TOO_LARGE, "the statement is longer than %d bytes", GUARD_TEXT_MAX);
    }
    if (memchr(sql.len > 0 ? sql.ptr : "", '\0', sql.len)) {
        return err_set(err, ERR_REFUSED, "the statement has a NUL byte");
    }
    if (!str_is_utf8(sql)) {
        return err_set(err, ERR_REFUSED, "the statement is not UTF-8");
    }
    if (str_trim(sql).len == 0) {
        return err_set(err, ERR_REFUSED, "the statement is empty");
    }
    return check_cost(sql, err);
}

size_t guard_space_len(struct str s) {
    static const char *const spaces[] = {"\xC2\xA0",     "\xE2\x80\xAF", "\xE2\x81\x9F",
                                         "\xE2\x81\xA0", "\xE3\x80\x80", "\xEF\xBB\xBF"};
    if (s.len == 0 || (unsigned char)s.ptr[0] < 0x80) {
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(spaces); i++) {
        if (str_starts(s, str_from(spaces[i]))) {
            return strlen(spaces[i]);
        }
    }
    const bool general = str_starts(s, STR("\xE2\x80")) && s.len > 2 &&
                         (unsigned char)s.ptr[2] >= 0x80 && (unsigned char)s.ptr[2] <= 0x8D;
    return general ? 3 : 0;
}
