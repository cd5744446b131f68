// ls, describe, rm, rename and alter: datasets, their names and their columns.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"
#include "cli/list.h"

enum { OUT_BYTES_MAX = 256 << 20 };

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
    client_dataset_path(&path, a->words[0], "");
    if (client_ask(a, "GET", buf_str(&path), NULL, &j, err) != ERR_OK) {
        return err->code == ERR_NOT_FOUND && list_has(a, "/catalog/views?limit=1000", "views",
                                                      str_from(a->words[0])) == LISTED_YES
                   ? err_set(err, ERR_NOT_FOUND,
                             "%s is a view, not a dataset: \"tarn view show %s\" tells of it",
                             a->words[0], a->words[0])
                   : err->code;
    }
    if (args_flag(a, "json")) {
        cli_add_json(a, j, &out);
        return grid_write(&out, err);
    }
    describe_facts(a, j, &out);
    const json_t *schema = json_object_get(j, "schema");
    describe_part(a, fields, ARRAY_LEN(fields), json_object_get(schema, "fields"), &out);
    describe_part(a, snapshots, ARRAY_LEN(snapshots), json_object_get(j, "snapshots"), &out);
    return grid_write(&out, err);
}

bool cli_confirmed(const struct args *a, const char *question) {
    char line[16] = "";
    if (args_flag(a, "yes") || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        return true;
    }
    fprintf(stderr, "%s [y/N] ", question);
    return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

enum err_code cli_rm(const struct args *a, struct err *err) {
    DEFER(client_closep) struct client *c = NULL;
    TRY(client_open(a, &c, err));
    for (size_t i = 0; i < a->word_count; i++) {
        DEFER(buf_release) struct buf path = BUF(1 << 16);
        DEFER(json_decrefp) json_t *answer = NULL;
        if (!cli_confirmed(a, arena_printf(a->arena, "Delete %s?", a->words[i]).ptr)) {
            return err_set(err, client_interrupted() ? ERR_CANCELLED : ERR_REFUSED,
                           "%s was not deleted", a->words[i]);
        }
        client_dataset_path(&path, a->words[i], "");
        client_option(&path, a, "reason");
        TRY(client_json(c, "DELETE", buf_str(&path), NULL, &answer, err));
        fprintf(stderr, "%s is deleted\n", a->words[i]);
    }
    return ERR_OK;
}

enum err_code cli_rename(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(buf_release) struct buf body = BUF(1 << 16);
    DEFER(json_decrefp) json_t *answer = NULL;
    struct jsonw w = JSONW(&body);
    client_dataset_path(&path, a->words[0], "/rename");
    client_option(&path, a, "reason");
    jsonw_object(&w);
    jsonw_field_str(&w, "to", str_from(a->words[1]));
    jsonw_end_object(&w);
    TRY(client_ask(a, "POST", buf_str(&path), &body, &answer, err));
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
    client_dataset_path(&path, a->words[0], "/columns");
    TRY(client_ask(a, "POST", buf_str(&path), &body, &answer, err));
    fprintf(stderr, "%s has %zu columns\n", a->words[0],
            json_array_size(json_object_get(json_object_get(answer, "schema"), "fields")));
    return ERR_OK;
}
