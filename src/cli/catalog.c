// ls, describe, rm, rename, alter, cache, token, journal show and version: what exists at the
// server, its names and its columns.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/version.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"
#include "cli/list.h"
#include "engine/engine.h"

enum { JOURNAL_ROWS = 100, OUT_BYTES_MAX = 256 << 20 };

enum err_code cli_ls(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {
        {"name", "name", cell_str, false},     {"rows", "rows", cell_number, true},
        {"size", "bytes", cell_bytes, true},   {"files", "files", cell_number, true},
        {"bucket", "bucket", cell_str, false}, {"updated", "updated_at", cell_time, false},
    };
    static const struct listing datasets = {"/catalog/datasets", "datasets", columns,
                                            ARRAY_LEN(columns), false};
    return list_show(a, &datasets, INT64_MAX, err);
}

enum err_code cli_token_ls(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {
        {"id", "id", cell_id, false},
        {"principal", "principal", cell_str, false},
        {"roles", "roles", cell_list, false},
        {"created", "created_at", cell_time, false},
        {"expires", "expires_at", cell_time, false},
        {"last used", "last_used_at", cell_time, false},
    };
    static const struct listing tokens = {"/auth/tokens", "tokens", columns, ARRAY_LEN(columns),
                                          true};
    return list_show(a, &tokens, INT64_MAX, err);
}

enum err_code cli_cache_stats(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {
        {"dataset", "dataset", cell_str, false},       {"pinned", "pinned", cell_yes, false},
        {"rows", "rows", cell_number, true},           {"size", "bytes", cell_bytes, true},
        {"files", "files", cell_number, true},         {"hits", "hits", cell_number, true},
        {"misses", "misses", cell_number, true},       {"loads", "loads", cell_number, true},
        {"evictions", "evictions", cell_number, true}, {"error", "error", cell_str, false},
    };
    static const struct listing cache = {"/query/cache/stats", "datasets", columns,
                                         ARRAY_LEN(columns), true};
    return list_show(a, &cache, INT64_MAX, err);
}

enum err_code cli_journal_show(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {
        {"seq", "seq", cell_id, true},         {"time", "time", cell_time, false},
        {"actor", "actor", cell_str, false},   {"action", "action", cell_str, false},
        {"target", "target", cell_str, false}, {"outcome", "outcome", cell_str, false},
        {"reason", "reason", cell_str, false}, {"sql", "sql", cell_str_if_any, false},
    };
    static const char *const filters[] = {"actor", "action", "target", "outcome",
                                          "from",  "to",     "seq",    "subject"};
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    int64_t limit = 0;
    TRY(args_number(a, "limit", JOURNAL_ROWS, INT64_MAX, &limit, err));
    buf_add_cstr(&path, "/journal");
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        if (args_value(a, filters[i]) != NULL) {
            client_parameter(&path, filters[i], str_from(args_value(a, filters[i])));
        }
    }
    const struct listing journal = {path.ptr, "entries", columns, ARRAY_LEN(columns), false};
    return list_show(a, &journal, limit, err);
}

enum err_code cli_jobs_ls(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {
        {"id", "id", cell_id, false},
        {"kind", "kind", cell_str, false},
        {"target", "target", cell_str, false},
        {"state", "state", cell_str, false},
        {"done", "done", cell_number, true},
        {"of", "total", cell_number, true},
        {"by", "principal", cell_str, false},
        {"began", "started_at", cell_time, false},
        {"ended", "ended_at", cell_time, false},
    };
    static const struct listing jobs = {"/jobs", "jobs", columns, ARRAY_LEN(columns), false};
    int64_t limit = 0;
    TRY(args_number(a, "limit", JOURNAL_ROWS, INT64_MAX, &limit, err));
    return list_show(a, &jobs, limit, err);
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
    buf_add_cstr(&path, "/catalog/datasets/by-name/");
    client_escape(&path, str_from(a->words[0]));
    buf_add_cstr(&path, "/snapshots");
    const struct listing snapshots = {path.ptr, "snapshots", columns, ARRAY_LEN(columns), false};
    TRY(args_number(a, "limit", JOURNAL_ROWS, INT64_MAX, &limit, err));
    return list_show(a, &snapshots, limit, err);
}

static void dataset_path(const char *name, const char *below, struct buf *path) {
    buf_add_cstr(path, "/catalog/datasets/by-name/");
    client_escape(path, str_from(name));
    buf_add_cstr(path, below);
}

// What describe says first: a name and a value a line.
static void describe_facts(const struct args *a, const json_t *j, struct buf *out) {
    static const struct list_column facts[] = {
        {"name", "name", cell_str, false},
        {"bucket", "bucket", cell_str, false},
        {"location", "location", cell_str, false},
        {"metadata", "metadata_location", cell_str, false},
        {"fingerprint", "fingerprint", cell_str, false},
        {"rows", "rows", cell_number, false},
        {"size", "bytes", cell_bytes, false},
        {"snapshot", "snapshot", cell_id, false},
        {"created", "created_at", cell_time, false},
        {"updated", "updated_at", cell_time, false},
    };
    struct grid t = GRID(a->arena);
    for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
        facts[i].cell(&t, j, facts[i].key);
        const struct str value = t.cells[i];
        buf_printf(out, "%-12s " STR_FMT "\n", facts[i].name, STR_ARG(value));
    }
    buf_printf(out, "%-12s %zu\n", "files", json_array_size(json_object_get(j, "objects")));
}

static void cell_required(struct grid *t, const json_t *j, const char *key) {
    bool required = false;
    (void)json_get_bool(j, key, &required);
    grid_cell(t, required ? STR("not null") : STR_NONE);
}

static void describe_part(const struct args *a, const struct list_column *columns, size_t count,
                          const json_t *rows, struct buf *out) {
    struct grid t = GRID(a->arena);
    list_columns(&t, columns, count);
    list_rows(&t, columns, count, rows);
    buf_add_char(out, '\n');
    grid_print(&t, 0, 0, out);
}

enum err_code cli_describe(const struct args *a, struct err *err) {
    static const struct list_column fields[] = {{"id", "id", cell_id, true},
                                                {"column", "name", cell_str, false},
                                                {"type", "type", cell_str, false},
                                                {"", "required", cell_required, false}};
    static const struct list_column snapshots[] = {{"sequence", "sequence_number", cell_id, true},
                                                   {"snapshot", "id", cell_id, true},
                                                   {"time", "timestamp", cell_time, false},
                                                   {"operation", "operation", cell_str, false},
                                                   {"rows", "rows", cell_number, true},
                                                   {"added", "added_rows", cell_number, true}};
    DEFER(buf_release) struct buf out = BUF(OUT_BYTES_MAX);
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(json_decrefp) json_t *j = NULL;
    DEFER(client_closep) struct client *c = NULL;
    client_start();
    TRY(client_open(a, &c, err));
    dataset_path(a->words[0], "", &path);
    TRY(client_json(c, "GET", buf_str(&path), NULL, &j, err));
    if (args_flag(a, "json")) {
        buf_add_str(&out, json_text(j, a->arena));
        buf_add_char(&out, '\n');
        return grid_write(&out, err);
    }
    describe_facts(a, j, &out);
    const json_t *schema = json_object_get(j, "schema");
    describe_part(a, fields, ARRAY_LEN(fields), json_object_get(schema, "fields"), &out);
    describe_part(a, snapshots, ARRAY_LEN(snapshots), json_object_get(j, "snapshots"), &out);
    return grid_write(&out, err);
}

// On a terminal asks; a script has said what it wants.
static bool confirmed(const struct args *a, const char *what) {
    char line[16] = "";
    if (args_flag(a, "yes") || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        return true;
    }
    fprintf(stderr, "Delete %s? [y/N] ", what);
    return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

enum err_code cli_rm(const struct args *a, struct err *err) {
    DEFER(client_closep) struct client *c = NULL;
    client_start();
    TRY(client_open(a, &c, err));
    for (size_t i = 0; i < a->word_count; i++) {
        DEFER(buf_release) struct buf path = BUF(1 << 16);
        DEFER(json_decrefp) json_t *answer = NULL;
        if (!confirmed(a, a->words[i])) {
            return err_set(err, client_interrupted() ? ERR_CANCELLED : ERR_REFUSED,
                           "%s was not deleted", a->words[i]);
        }
        dataset_path(a->words[i], "", &path);
        TRY(client_json(c, "DELETE", buf_str(&path), NULL, &answer, err));
        fprintf(stderr, "%s is deleted\n", a->words[i]);
    }
    return ERR_OK;
}

enum err_code cli_rename(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(buf_release) struct buf body = BUF(1 << 16);
    DEFER(json_decrefp) json_t *answer = NULL;
    DEFER(client_closep) struct client *c = NULL;
    struct jsonw w = JSONW(&body);
    client_start();
    TRY(client_open(a, &c, err));
    dataset_path(a->words[0], "/rename", &path);
    jsonw_object(&w);
    jsonw_field_str(&w, "to", str_from(a->words[1]));
    jsonw_end_object(&w);
    TRY(client_json(c, "POST", buf_str(&path), &body, &answer, err));
    fprintf(stderr, "%s is now %s\n", a->words[0], a->words[1]);
    return ERR_OK;
}

// How each option of alter is said to the server; its value is NAME or NAME=OTHER.
static const struct {
    const char *option, *other; // NULL: the value is a name alone
} alterations[] = {
    {"add", "type"}, {"drop", NULL}, {"rename", "to"}, {"widen", "type"}, {"nullable", NULL},
};

static enum err_code alteration(const struct args_given *g, struct jsonw *w, struct err *err) {
    for (size_t i = 0; i < ARRAY_LEN(alterations); i++) {
        const char *other = alterations[i].other;
        struct str rest = g->value;
        struct str name = g->value;
        if (strcmp(g->name, alterations[i].option) != 0) {
            continue;
        }
        if (other != NULL && (!str_cut(&rest, '=', &name) || name.len == g->value.len)) {
            return err_set(err, ERR_INVALID, "--%s takes NAME=%s", g->name,
                           strcmp(other, "to") == 0 ? "NEW-NAME" : "TYPE");
        }
        jsonw_object(w);
        jsonw_field_str(w, "op", str_from(g->name));
        jsonw_field_str(w, "name", name);
        if (other != NULL) {
            jsonw_field_str(w, other, rest);
        }
        jsonw_end_object(w);
    }
    return ERR_OK;
}

enum err_code cli_alter(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(buf_release) struct buf body = BUF(1 << 20);
    DEFER(json_decrefp) json_t *answer = NULL;
    DEFER(client_closep) struct client *c = NULL;
    struct jsonw w = JSONW(&body);
    jsonw_object(&w);
    jsonw_key(&w, STR("changes"));
    jsonw_array(&w);
    const size_t empty = body.len;
    for (size_t i = 0; i < a->given_count; i++) {
        TRY(alteration(&a->given[i], &w, err));
    }
    if (body.len == empty) {
        return err_set(err, ERR_INVALID,
                       "\"tarn alter\" needs --add, --drop, --rename, --widen or --nullable");
    }
    jsonw_end_array(&w);
    if (args_value(a, "reason") != NULL) {
        jsonw_field_str(&w, "reason", str_from(args_value(a, "reason")));
    }
    jsonw_end_object(&w);
    client_start();
    TRY(client_open(a, &c, err));
    dataset_path(a->words[0], "/columns", &path);
    TRY(client_json(c, "POST", buf_str(&path), &body, &answer, err));
    fprintf(stderr, "%s has %zu columns\n", a->words[0],
            json_array_size(json_object_get(json_object_get(answer, "schema"), "fields")));
    return ERR_OK;
}

// POST with one member; the dataset, or "all" when it is NULL.
static enum err_code cache_post(struct client *c, const char *path, const char *dataset,
                                json_t **ret, struct err *err) {
    DEFER(buf_release) struct buf body = BUF(1 << 16);
    struct jsonw w = JSONW(&body);
    jsonw_object(&w);
    if (dataset != NULL) {
        jsonw_field_str(&w, "dataset", str_from(dataset));
    } else {
        jsonw_key(&w, STR("all"));
        jsonw_bool(&w, true);
    }
    jsonw_end_object(&w);
    return client_json(c, "POST", str_from(path), &body, ret, err);
}

enum err_code cli_cache_pin(const struct args *a, struct err *err) {
    DEFER(client_closep) struct client *c = NULL;
    client_start();
    TRY(client_open(a, &c, err));
    for (size_t i = 0; i < a->word_count; i++) {
        DEFER(json_decrefp) json_t *answer = NULL;
        int64_t bytes = 0;
        TRY(cache_post(c, "/query/cache/pin", a->words[i], &answer, err));
        (void)json_get_i64(answer, "bytes", &bytes);
        const struct str size = grid_bytes(bytes, a->arena);
        fprintf(stderr, "%s is in memory, " STR_FMT "\n", a->words[i], STR_ARG(size));
    }
    return ERR_OK;
}

enum err_code cli_cache_evict(const struct args *a, struct err *err) {
    DEFER(client_closep) struct client *c = NULL;
    int64_t total = 0;
    client_start();
    TRY(client_open(a, &c, err));
    for (size_t i = 0; i < MAX(a->word_count, 1); i++) {
        DEFER(json_decrefp) json_t *answer = NULL;
        int64_t count = 0;
        TRY(cache_post(c, "/query/cache/evict", i < a->word_count ? a->words[i] : NULL, &answer,
                       err));
        (void)json_get_i64(answer, "evicted", &count);
        total += count;
    }
    fprintf(stderr, "%" PRId64 " %s left memory\n", total, total == 1 ? "dataset" : "datasets");
    return ERR_OK;
}

enum err_code cli_token_create(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf body = BUF(1 << 16);
    DEFER(buf_release) struct buf out = BUF(1 << 16);
    DEFER(json_decrefp) json_t *answer = NULL;
    DEFER(client_closep) struct client *c = NULL;
    struct jsonw w = JSONW(&body);
    struct str token = STR_NONE;
    struct str id = STR_NONE;
    struct str expires = STR_NONE;
    if (args_value(a, "expires")) {
        TRY(cli_time(a, "expires", &expires, err));
    }
    client_start();
    TRY(client_open(a, &c, err));
    jsonw_object(&w);
    jsonw_field_str(&w, "principal", str_from(a->words[0]));
    jsonw_key(&w, STR("roles"));
    jsonw_array(&w);
    for (size_t i = 0; i < a->given_count; i++) {
        if (strcmp(a->given[i].name, "role") == 0) {
            jsonw_str(&w, a->given[i].value);
        }
    }
    if (!args_flag(a, "role")) {
        jsonw_str(&w, STR("admin"));
    }
    jsonw_end_array(&w);
    if (expires.len > 0) {
        jsonw_field_str(&w, "expires_at", expires);
    }
    jsonw_end_object(&w);
    TRY(client_json(c, "POST", STR("/auth/tokens"), &body, &answer, err));
    TRY(json_need_str(answer, "token", &token, err));
    TRY(json_need_str(answer, "id", &id, err));
    buf_printf(&out, STR_FMT "\n", STR_ARG(token));
    fprintf(stderr, "token " STR_FMT " for %s; it is shown only now\n", STR_ARG(id), a->words[0]);
    return grid_write(&out, err);
}

enum err_code cli_token_rm(const struct args *a, struct err *err) {
    DEFER(client_closep) struct client *c = NULL;
    client_start();
    TRY(client_open(a, &c, err));
    for (size_t i = 0; i < a->word_count; i++) {
        DEFER(buf_release) struct buf path = BUF(1 << 16);
        DEFER(json_decrefp) json_t *answer = NULL;
        buf_add_cstr(&path, "/auth/tokens/");
        client_escape(&path, str_from(a->words[i]));
        TRY(client_json(c, "DELETE", buf_str(&path), NULL, &answer, err));
        fprintf(stderr, "token %s is revoked\n", a->words[i]);
    }
    return ERR_OK;
}

enum err_code cli_version(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    DEFER(json_decrefp) json_t *answer = NULL;
    DEFER(client_closep) struct client *c = NULL;
    if (!args_flag(a, "server")) {
        buf_printf(&out, "tarn %s (commit %s, engine %s)\n", version_text(), version_commit(),
                   engine_version());
        return grid_write(&out, err);
    }
    client_start();
    TRY(client_open(a, &c, err));
    TRY(client_json(c, "GET", STR("/version"), NULL, &answer, err));
    buf_add_str(&out, json_text(answer, a->arena));
    buf_add_char(&out, '\n');
    return grid_write(&out, err);
}
