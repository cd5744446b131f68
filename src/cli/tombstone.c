// tombstone: rows of a key are hidden, brought back, and listed.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"
#include "cli/keys.h"
#include "cli/list.h"

enum { OUT_BYTES_MAX = 256 << 20, BODY_BYTES_MAX = 64 << 20 };

// A time as the server reads it: a date, or so long before or after now.
static enum err_code read_time(const struct args *a, const char *option, bool ago, struct str *ret,
                               struct err *err) {
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'m', 60}, {'h', 3600}, {'d', 86400}};
    const struct str s = str_from(args_value(a, option));
    int64_t number = 0;
    int64_t time_us = 0;
    for (size_t i = 0; i < ARRAY_LEN(units) && s.len > 1; i++) {
        const bool is_unit = s.ptr[s.len - 1] == units[i].letter;
        if (is_unit && str_to_i64(str_slice(s, 0, s.len - 1), &number) && number > 0 &&
            number < 1000000) {
            const int64_t span_us = number * units[i].seconds * 1000000;
            *ret = clock_rfc3339(clock_wall_us() + (ago ? -span_us : span_us), a->arena);
            return ERR_OK;
        }
    }
    if (!clock_parse(s, &time_us)) {
        return err_set(err, ERR_INVALID,
                       "--%s is a time %s (12h, 30d) or a date (2030-01-31), not \"%.40s\"", option,
                       ago ? "back from now" : "from now", args_value(a, option));
    }
    *ret = clock_rfc3339(time_us, a->arena);
    return ERR_OK;
}

enum err_code cli_time(const struct args *a, const char *option, struct str *ret, struct err *err) {
    return read_time(a, option, false, ret, err);
}

enum err_code cli_time_ago(const struct args *a, const char *option, struct str *ret,
                           struct err *err) {
    return read_time(a, option, true, ret, err);
}

static enum err_code add_times(const struct args *a, struct jsonw *w, struct err *err) {
    static const struct {
        const char *option, *member;
    } times[] = {{"purge-not-before", "purge_not_before"}, {"purge-by", "purge_by"}};
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct str text;
        if (args_value(a, times[i].option) != NULL) {
            TRY(cli_time(a, times[i].option, &text, err));
            jsonw_field_str(w, times[i].member, text);
        }
    }
    return ERR_OK;
}

static enum err_code make_body(const struct args *a, struct buf *body, struct err *err) {
    static const struct {
        const char *option, *member;
    } texts[] = {{"column", "row_key_column"}, {"actor", "actor"}, {"reason", "reason"}};
    const bool undo = args_flag(a, "undo");
    struct jsonw w = JSONW(body);
    if (!undo && args_value(a, "column") == NULL) {
        return err_set(err, ERR_INVALID, "which column holds the keys? Give --column NAME");
    }
    if (undo && (args_value(a, "purge-by") != NULL || args_value(a, "purge-not-before") != NULL)) {
        return err_set(err, ERR_INVALID, "--undo knows no time of purging");
    }
    jsonw_object(&w);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (args_value(a, texts[i].option) != NULL) {
            jsonw_field_str(&w, texts[i].member, str_from(args_value(a, texts[i].option)));
        }
    }
    TRY(add_times(a, &w, err));
    TRY(cli_keys_add(a, &w, err));
    jsonw_end_object(&w);
    return body->overflow ? err_set(err, ERR_TOO_LARGE, "too many keys for one request") : ERR_OK;
}

// What was done, then each value that could not be.
static void show_done(const struct args *a, const json_t *j, struct buf *out) {
    static const struct {
        const char *name, *key;
    } facts[] = {{"keys hidden", "keys_tombstoned"},
                 {"rows hidden", "rows_tombstoned"},
                 {"keys restored", "keys_restored"},
                 {"rows restored", "rows_restored"}};
    static const struct list_column columns[] = {{"key", "row_key_value", cell_id, false},
                                                 {"code", "code", cell_str, false},
                                                 {"why", "detail", cell_str, false}};
    const json_t *failures = json_object_get(j, "failures");
    for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
        int64_t number = 0;
        if (json_get_i64(j, facts[i].key, &number)) {
            buf_printf(out, "%-14s " STR_FMT "\n", facts[i].name,
                       STR_ARG(grid_number(number, a->arena)));
        }
    }
    if (json_array_size(failures) > 0) {
        struct grid t = GRID(a->arena);
        list_columns(&t, columns, ARRAY_LEN(columns));
        list_rows(&t, columns, ARRAY_LEN(columns), failures);
        buf_add_char(out, '\n');
        grid_print(&t, GRID_CELL_WIDTH, 0, out);
    }
}

// An error when not all could be done: "not found" when no key was found at all.
static enum err_code outcome_of(const json_t *j, struct err *err) {
    const json_t *failures = json_object_get(j, "failures");
    const size_t count = json_array_size(failures);
    int64_t done = 0;
    size_t missing = 0;
    for (size_t i = 0; i < count; i++) {
        struct str code = STR_NONE;
        (void)json_get_str(json_array_get(failures, i), "code", &code);
        missing += str_is(code, "not_found") || str_is(code, "not_tombstoned") ? 1 : 0;
    }
    if (!json_get_i64(j, "keys_tombstoned", &done)) {
        (void)json_get_i64(j, "keys_restored", &done);
    }
    if (count == 0) {
        return ERR_OK;
    }
    return err_set(err, done == 0 && missing == count ? ERR_NOT_FOUND : ERR_DATA,
                   "%zu of %" PRId64 " keys could not be done", count, done + (int64_t)count);
}

static enum err_code change(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf body = BUF(BODY_BYTES_MAX);
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(buf_release) struct buf out = BUF(OUT_BYTES_MAX);
    DEFER(json_decrefp) json_t *answer = NULL;
    TRY(make_body(a, &body, err));
    client_dataset_path(&path, a->words[0],
                        args_flag(a, "undo") ? "/tombstone/undo" : "/tombstone");
    TRY(client_ask(a, "POST", buf_str(&path), &body, &answer, err));
    if (args_flag(a, "json")) {
        cli_add_json(a, answer, &out);
    } else {
        show_done(a, answer, &out);
    }
    TRY(grid_write(&out, err));
    return outcome_of(answer, err);
}

static enum err_code show_list(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {
        {"key", "row_key_value", cell_id, false},
        {"rows", "rows", cell_number, true},
        {"since", "tombstoned_at", cell_time, false},
        {"actor", "actor", cell_str, false},
        {"reason", "reason", cell_str, false},
        {"not before", "purge_not_before", cell_time, false},
        {"purge by", "purge_by", cell_time, false},
        {"overdue", "overdue", cell_yes, false},
    };
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    client_dataset_path(&path, a->words[0], "/tombstone");
    if (args_flag(a, "overdue")) {
        client_parameter(&path, "overdue", STR("true"));
    }
    const struct listing list = {path.ptr, "tombstones", columns, ARRAY_LEN(columns), false};
    return list_show(a, &list, INT64_MAX, err);
}

static enum err_code show_report(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {
        {"dataset", "dataset", cell_str, false},
        {"column", "row_key_column", cell_str, false},
        {"tombstones", "active", cell_number, true},
        {"held", "held", cell_number, true},
        {"overdue", "overdue", cell_number, true},
        {"first purge by", "oldest_purge_by", cell_time, false},
    };
    const struct listing report = {args_flag(a, "overdue") ? "/catalog/tombstones?overdue=true"
                                                           : "/catalog/tombstones",
                                   "datasets", columns, ARRAY_LEN(columns), false};
    return list_show(a, &report, INT64_MAX, err);
}

enum err_code cli_tombstone(const struct args *a, struct err *err) {
    const bool lists = args_flag(a, "list") || args_flag(a, "overdue");
    if (!lists) {
        return a->word_count > 0
                   ? change(a, err)
                   : err_set(err, ERR_INVALID, "name a dataset, or give --list or --overdue");
    }
    if (a->word_count > 1 || args_flag(a, "undo")) {
        return err_set(err, ERR_INVALID,
                       "--list and --overdue take no keys: they list what is there");
    }
    return a->word_count == 1 ? show_list(a, err) : show_report(a, err);
}
