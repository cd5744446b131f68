// compact and snapshots: what keeps datasets quick.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"
#include "cli/list.h"

enum { SNAPSHOT_ROWS = 100, OUT_BYTES_MAX = 64 << 20, BODY_BYTES_MAX = 1 << 20 };

// "5d", "12h", "30m" or "90s" as milliseconds.
static enum err_code duration(const struct args *a, const char *option, int64_t *ret,
                              struct err *err) {
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    const struct str s = str_from(args_value(a, option));
    int64_t number = 0;
    for (size_t i = 0; i < ARRAY_LEN(units) && s.len > 1; i++) {
        if (s.ptr[s.len - 1] == units[i].letter &&
            str_to_i64(str_slice(s, 0, s.len - 1), &number) && number >= 0 && number < 1000000) {
            *ret = number * units[i].ms;
            return ERR_OK;
        }
    }
    return err_set(err, ERR_INVALID, "--%s is a time like 12h or 5d, not \"%.40s\"", option,
                   args_value(a, option));
}

// A member with the answer's number, laid out as "name    value".
struct fact {
    const char *name, *key;
    bool bytes;
};

static void show_facts(const struct args *a, const json_t *j, const struct fact *facts,
                       size_t count, struct buf *out) {
    for (size_t i = 0; i < count; i++) {
        int64_t number = 0;
        if (json_get_i64(j, facts[i].key, &number)) {
            const struct str text =
                facts[i].bytes ? grid_bytes(number, a->arena) : grid_number(number, a->arena);
            buf_printf(out, "%-16s " STR_FMT "\n", facts[i].name, STR_ARG(text));
        }
    }
}

// Sends what a command asks for and shows the answer.
struct request {
    struct str path;
    const struct buf *body;
    const struct fact *facts;
    size_t fact_count;
};

static enum err_code ask(const struct args *a, const struct request *r, struct err *err) {
    DEFER(buf_release) struct buf out = BUF(OUT_BYTES_MAX);
    DEFER(json_decrefp) json_t *answer = NULL;
    TRY(client_ask(a, "POST", r->path, r->body, &answer, err));
    const json_t *list = json_object_get(answer, "datasets");
    if (args_flag(a, "json")) {
        cli_add_json(a, answer, &out);
    } else if (list == NULL) {
        show_facts(a, answer, r->facts, r->fact_count, &out);
    }
    for (size_t i = 0; !args_flag(a, "json") && i < json_array_size(list); i++) {
        struct str name = STR_NONE;
        const json_t *one = json_array_get(list, i);
        struct str detail = STR_NONE;
        (void)json_get_str(one, "dataset", &name);
        (void)json_get_str(json_object_get(one, "error"), "detail", &detail);
        buf_printf(&out, "%s%-16s " STR_FMT "\n", i == 0 ? "" : "\n", "dataset", STR_ARG(name));
        if (detail.len > 0) {
            buf_printf(&out, "%-16s " STR_FMT "\n", "error", STR_ARG(detail));
        }
        show_facts(a, one, r->facts, r->fact_count, &out);
    }
    return grid_write(&out, err);
}

static void add_columns(struct jsonw *w, const char *text) {
    struct str rest = str_from(text);
    struct str column;
    jsonw_key(w, STR("cluster_by"));
    jsonw_array(w);
    while (str_cut(&rest, ',', &column)) {
        jsonw_str(w, str_trim(column));
    }
    jsonw_end_array(w);
}

enum err_code cli_compact(const struct args *a, struct err *err) {
    static const struct fact facts[] = {
        {"files before", "files_before", false},
        {"files after", "files_after", false},
        {"size before", "bytes_before", true},
        {"size after", "bytes_after", true},
        {"files read", "files_read", false},
        {"files written", "files_written", false},
        {"rows", "rows", false},
        {"deletes applied", "deletes_applied", false},
        {"tombstones", "tombstones_applied", false},
        {"tombstoned rows", "rows_dropped_by_tombstones", false},
        {"milliseconds", "duration_ms", false},
    };
    DEFER(buf_release) struct buf body = BUF(BODY_BYTES_MAX);
    DEFER(buf_release) struct buf path = BUF(BODY_BYTES_MAX);
    struct jsonw w = JSONW(&body);
    int64_t target = 0;
    if (args_flag(a, "all") == (a->word_count > 0)) {
        return err_set(err, ERR_INVALID, "name a dataset, or give --all");
    }
    TRY(args_number(a, "target-bytes", 0, INT64_MAX, &target, err));
    jsonw_object(&w);
    if (args_flag(a, "all")) {
        jsonw_field_bool(&w, "all", true);
    } else {
        jsonw_field_str(&w, "dataset", str_from(a->words[0]));
    }
    jsonw_field_bool(&w, "dry_run", args_flag(a, "dry-run"));
    if (target > 0) {
        jsonw_field_i64(&w, "target_bytes", target);
    }
    if (args_value(a, "cluster-by") != NULL) {
        add_columns(&w, args_value(a, "cluster-by"));
    }
    jsonw_end_object(&w);
    buf_add_cstr(&path, "/query/compact");
    client_option(&path, a, "reason");
    return ask(a, &(struct request){buf_str(&path), &body, facts, ARRAY_LEN(facts)}, err);
}

static void dataset_path(const struct args *a, const char *below, struct buf *path) {
    client_dataset_path(path, a->words[0], below);
    client_option(path, a, "reason");
}

static void cell_current(struct grid *t, const json_t *j, const char *key) {
    bool current = false;
    (void)json_get_bool(j, key, &current);
    grid_cell(t, current ? STR("current") : STR_NONE);
}

enum err_code cli_snapshots_ls(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {
        {"sequence", "sequence_number", cell_id, true},
        {"snapshot", "id", cell_id, true},
        {"time", "timestamp", cell_time, false},
        {"operation", "operation", cell_str, false},
        {"rows", "rows", cell_number, true},
        {"files", "files", cell_number, true},
        {"", "current", cell_current, false},
    };
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    int64_t limit = 0;
    client_dataset_path(&path, a->words[0], "/snapshots");
    const struct listing snapshots = {path.ptr, "snapshots", columns, ARRAY_LEN(columns), false};
    TRY(args_number(a, "limit", SNAPSHOT_ROWS, INT64_MAX, &limit, err));
    return list_show(a, &snapshots, limit, err);
}

enum err_code cli_snapshots_rollback(const struct args *a, struct err *err) {
    static const struct fact facts[] = {{"rows before", "rows_before", false},
                                        {"rows after", "rows_after", false}};
    DEFER(buf_release) struct buf body = BUF(BODY_BYTES_MAX);
    DEFER(buf_release) struct buf path = BUF(BODY_BYTES_MAX);
    struct jsonw w = JSONW(&body);
    int64_t version = 0;
    if (!str_to_i64(str_from(a->words[1]), &version)) {
        return err_set(err, ERR_INVALID,
                       "\"%.40s\" is neither a snapshot nor a sequence number; \"tarn snapshots "
                       "ls %.100s\" lists them",
                       a->words[1], a->words[0]);
    }
    jsonw_object(&w);
    jsonw_field_i64(&w, "version", version);
    jsonw_field_bool(&w, "dry_run", args_flag(a, "dry-run"));
    jsonw_end_object(&w);
    dataset_path(a, "/rollback", &path);
    return ask(a, &(struct request){buf_str(&path), &body, facts, ARRAY_LEN(facts)}, err);
}

enum err_code cli_snapshots_expire(const struct args *a, struct err *err) {
    static const struct fact facts[] = {{"snapshots before", "snapshots_before", false},
                                        {"snapshots after", "snapshots_after", false},
                                        {"objects removed", "objects_removed", false},
                                        {"size removed", "bytes_removed", true}};
    DEFER(buf_release) struct buf body = BUF(BODY_BYTES_MAX);
    DEFER(buf_release) struct buf path = BUF(BODY_BYTES_MAX);
    struct jsonw w = JSONW(&body);
    int64_t number = 0;
    jsonw_object(&w);
    if (args_value(a, "older-than") != NULL) {
        TRY(duration(a, "older-than", &number, err));
        jsonw_field_i64(&w, "max_age_ms", number);
    }
    TRY(args_number(a, "keep", 0, INT64_MAX, &number, err));
    if (number > 0) {
        jsonw_field_i64(&w, "keep_min", number);
    }
    TRY(args_number(a, "keep-max", 0, INT64_MAX, &number, err));
    if (number > 0) {
        jsonw_field_i64(&w, "keep_max", number);
    }
    jsonw_field_bool(&w, "dry_run", args_flag(a, "dry-run"));
    jsonw_end_object(&w);
    dataset_path(a, "/expire", &path);
    return ask(a, &(struct request){buf_str(&path), &body, facts, ARRAY_LEN(facts)}, err);
}

enum err_code cli_snapshots_orphans(const struct args *a, struct err *err) {
    static const struct fact facts[] = {{"objects seen", "objects_seen", false},
                                        {"orphans", "orphans", false},
                                        {"size", "bytes", true}};
    DEFER(buf_release) struct buf body = BUF(BODY_BYTES_MAX);
    DEFER(buf_release) struct buf path = BUF(BODY_BYTES_MAX);
    struct jsonw w = JSONW(&body);
    jsonw_object(&w);
    if (args_value(a, "older-than") != NULL) {
        int64_t age_ms = 0;
        TRY(duration(a, "older-than", &age_ms, err));
        jsonw_field_i64(&w, "older_than_ms", age_ms);
    }
    jsonw_field_bool(&w, "dry_run", args_flag(a, "dry-run"));
    jsonw_end_object(&w);
    dataset_path(a, "/orphans", &path);
    return ask(a, &(struct request){buf_str(&path), &body, facts, ARRAY_LEN(facts)}, err);
}
