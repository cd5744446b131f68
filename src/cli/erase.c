// erase, erasures and suppressions: subjects taken out and kept out, receipts, and their check.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalog/catalog.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/folder.h"
#include "cli/grid.h"
#include "cli/keys.h"
#include "cli/list.h"
#include "erase/erase_receipt.h"

enum { OUT_BYTES_MAX = 256 << 20, BODY_BYTES_MAX = 16 << 20 };

// Every value of an option that may be given again.
static void add_list(const struct args *a, struct jsonw *w, const char *option, const char *key) {
    if (args_value(a, option) == NULL) {
        return;
    }
    jsonw_key(w, str_from(key));
    jsonw_array(w);
    for (size_t i = 0; i < a->given_count; i++) {
        if (strcmp(a->given[i].name, option) == 0) {
            jsonw_str(w, a->given[i].value);
        }
    }
    jsonw_end_array(w);
}

static enum err_code make_body(const struct args *a, struct buf *body, struct err *err) {
    struct jsonw w = JSONW(body);
    if (args_value(a, "column") == NULL) {
        return err_set(err, ERR_INVALID, "which column holds the keys? Give --column NAME");
    }
    jsonw_object(&w);
    jsonw_field_str(&w, "row_key_column", str_from(args_value(a, "column")));
    TRY(cli_keys_add(a, &w, err));
    add_list(a, &w, "dataset", "datasets");
    add_list(a, &w, "search", "search");
    jsonw_field_bool(&w, "shared", args_flag(a, "shared"));
    jsonw_field_bool(&w, "suppress", args_flag(a, "suppress"));
    jsonw_field_bool(&w, "override_hold", args_flag(a, "override-hold"));
    jsonw_field_bool(&w, "dry_run", args_flag(a, "dry-run"));
    if (args_value(a, "reason") != NULL) {
        jsonw_field_str(&w, "reason", str_from(args_value(a, "reason")));
    }
    jsonw_end_object(&w);
    return body->overflow ? err_set(err, ERR_TOO_LARGE, "too many keys for one request") : ERR_OK;
}

static bool confirmed(const struct args *a) {
    const struct str question =
        arena_printf(a->arena, "Erase for good from \"%s\"? It cannot be undone.", a->words[0]);
    return args_flag(a, "dry-run") || cli_confirmed(a, question.ptr);
}

static void fact(const struct args *a, const char *name, int64_t number, struct buf *out) {
    buf_printf(out, "%-18s " STR_FMT "\n", name, STR_ARG(grid_number(number, a->arena)));
}

static void show_look(const struct args *a, const json_t *j, struct buf *out) {
    const json_t *list = json_object_get(j, "datasets");
    const json_t *sharing = json_object_get(j, "sharing");
    fact(a, "subjects", json_i64_of(j, "subjects"), out);
    fact(a, "rows", json_i64_of(j, "rows"), out);
    if (json_i64_of(j, "held") > 0) {
        fact(a, "held", json_i64_of(j, "held"), out);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        buf_printf(out, "\n%-18s " STR_FMT "." STR_FMT "\n", "dataset",
                   STR_ARG(json_str_of(one, "dataset")), STR_ARG(json_str_of(one, "column")));
        fact(a, "keys found", json_i64_of(one, "keys_found"), out);
        fact(a, "rows", json_i64_of(one, "rows"), out);
        fact(a, "files", json_i64_of(one, "files"), out);
        fact(a, "snapshots", json_i64_of(one, "snapshots_changed"), out);
    }
    for (size_t i = 0; i < json_array_size(sharing); i++) {
        buf_printf(out, "%s%-18s %s\n", i == 0 ? "\n" : "", i == 0 ? "not asked for" : "",
                   json_string_value(json_array_get(sharing, i)));
    }
}

static void show_receipt(const struct args *a, const json_t *j, struct buf *out) {
    const json_t *scan = json_object_get(j, "scan");
    const json_t *list = json_object_get(j, "datasets");
    const json_t *findings = json_object_get(scan, "findings");
    int64_t rows = 0;
    bool clean = false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        rows += json_i64_of(json_array_get(list, i), "rows_removed");
    }
    (void)json_get_bool(scan, "clean", &clean);
    buf_printf(out, "%-18s " STR_FMT "\n", "erasure", STR_ARG(json_str_of(j, "id")));
    fact(a, "subjects", json_i64_of(json_object_get(j, "subjects"), "count"), out);
    fact(a, "datasets", (int64_t)json_array_size(list), out);
    fact(a, "rows removed", rows, out);
    fact(a, "objects removed", (int64_t)json_array_size(json_object_get(j, "removed")), out);
    fact(a, "objects searched", json_i64_of(scan, "objects"), out);
    buf_printf(out, "%-18s " STR_FMT "\n", "bytes searched",
               STR_ARG(grid_bytes(json_i64_of(scan, "bytes"), a->arena)));
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *f = json_array_get(findings, i);
        buf_printf(out, "%-18s " STR_FMT ": " STR_FMT " (%" PRId64 ")\n", "STILL FOUND",
                   STR_ARG(json_str_of(f, "object")), STR_ARG(json_str_of(f, "where")),
                   json_i64_of(f, "count"));
    }
    buf_printf(out, "%-18s %s\n", "result",
               clean ? "clean: nothing was found in what remains" : "NOT CLEAN: see above");
}

static enum err_code save(const char *path, struct str text, struct err *err) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        return err_errno(err, "cannot write \"%s\"", path);
    }
    const bool written = fwrite(text.ptr, 1, text.len, file) == text.len;
    if (fclose(file) != 0 || !written) {
        return err_errno(err, "cannot write \"%s\"", path);
    }
    return ERR_OK;
}

// What comes back: a receipt, or what a dry run saw.
static enum err_code show_answer(const struct args *a, const json_t *j, struct err *err) {
    DEFER(buf_release) struct buf out = BUF(OUT_BYTES_MAX);
    const bool is_receipt = json_object_get(j, "tarn_receipt") != NULL;
    bool clean = true;
    if (is_receipt && args_value(a, "receipt") != NULL) {
        TRY(save(args_value(a, "receipt"), json_text(j, a->arena), err));
    }
    if (args_flag(a, "json")) {
        cli_add_json(a, j, &out);
    } else if (is_receipt) {
        show_receipt(a, j, &out);
    } else {
        show_look(a, j, &out);
    }
    TRY(grid_write(&out, err));
    (void)json_get_bool(json_object_get(j, "scan"), "clean", &clean);
    return clean
               ? ERR_OK
               : err_set(err, ERR_DATA,
                         "the rows are gone, but the values still stand elsewhere; --shared erases "
                         "them from every dataset with such a column, --dataset from one");
}

// Verification

static enum err_code verify_offline(const struct args *a, struct str receipt, json_t **ret,
                                    struct err *err) {
    DEFER(store_closep) struct store *store = NULL;
    struct catalog *catalog = NULL;
    struct erase_verdict verdict;
    struct str uri;
    TRY(folder_open(a, &store, &uri, err));
    TRY(catalog_open_to_look(store, uri, &catalog, err));
    const enum err_code code = erase_receipt_verify(catalog, receipt, a->arena, &verdict, err);
    catalog_close(catalog);
    TRY(code);
    *ret = erase_verdict_json(&verdict);
    return ERR_OK;
}

static enum err_code verify(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf receipt = BUF(OUT_BYTES_MAX);
    DEFER(buf_release) struct buf out = BUF(OUT_BYTES_MAX);
    DEFER(json_decrefp) json_t *verdict = NULL;
    bool ok = false;
    TRY(cli_read_file(args_value(a, "verify"), &receipt, err));
    if (args_flag(a, "offline")) {
        TRY(verify_offline(a, buf_str(&receipt), &verdict, err));
    } else {
        TRY(client_ask(a, "POST", STR("/erasures/verify"), &receipt, &verdict, err));
    }
    (void)json_get_bool(verdict, "ok", &ok);
    const json_t *checks = json_object_get(verdict, "checks");
    if (args_flag(a, "json")) {
        cli_add_json(a, verdict, &out);
    }
    for (size_t i = 0; !args_flag(a, "json") && i < json_array_size(checks); i++) {
        const json_t *check = json_array_get(checks, i);
        bool good = false;
        (void)json_get_bool(check, "ok", &good);
        buf_printf(&out, "%-5s %-10.*s " STR_FMT "\n", good ? "ok" : "FAIL",
                   STR_ARG(json_str_of(check, "check")), STR_ARG(json_str_of(check, "says")));
    }
    TRY(grid_write(&out, err));
    return ok ? ERR_OK : err_set(err, ERR_CORRUPT, "the receipt does not hold");
}

enum err_code cli_erase(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf body = BUF(BODY_BYTES_MAX);
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(json_decrefp) json_t *answer = NULL;
    if (args_value(a, "verify") != NULL) {
        return verify(a, err);
    }
    if (a->word_count == 0) {
        return err_set(err, ERR_INVALID, "name a dataset and keys, or give --verify RECEIPT");
    }
    TRY(make_body(a, &body, err));
    if (!confirmed(a)) {
        return err_set(err, ERR_CANCELLED, "nothing was erased");
    }
    client_dataset_path(&path, a->words[0], "/erase");
    TRY(client_ask(a, "POST", buf_str(&path), &body, &answer, err));
    return show_answer(a, answer, err);
}

// Of one that is not done yet nothing is known.
static void cell_clean(struct grid *t, const json_t *j, const char *key) {
    const json_t *clean = json_object_get(j, key);
    grid_cell(t, json_is_true(clean) ? STR("yes") : json_is_false(clean) ? STR("NO") : STR_NONE);
}

enum err_code cli_erasures_ls(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {{"id", "id", cell_id, false},
                                                 {"state", "state", cell_str, false},
                                                 {"time", "requested_at", cell_time, false},
                                                 {"actor", "actor", cell_str, false},
                                                 {"reason", "reason", cell_str, false},
                                                 {"subjects", "subjects", cell_number, true},
                                                 {"rows", "rows", cell_number, true},
                                                 {"clean", "clean", cell_clean, false}};
    const struct listing l = {"/erasures", "erasures", columns, ARRAY_LEN(columns), false};
    int64_t limit = 100;
    TRY(args_number(a, "limit", limit, INT64_MAX, &limit, err));
    return list_show(a, &l, limit, err);
}

enum err_code cli_erasures_receipt(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(client_closep) struct client *c = NULL;
    struct client_answer answer = CLIENT_ANSWER;
    client_path(&path, "/erasures/", a->words[0], "/receipt");
    const struct client_request r = {.method = "GET",
                                     .path = buf_str(&path),
                                     .accept = args_flag(a, "html") ? "text/html" : NULL};
    TRY(client_open(a, &c, err));
    enum err_code code = client_send(c, &r, &answer, err);
    code = code == ERR_OK ? grid_write(&answer.body, err) : code;
    client_answer_release(&answer);
    return code;
}

enum err_code cli_erasures_resume(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(json_decrefp) json_t *answer = NULL;
    client_path(&path, "/erasures/", a->words[0], "/resume");
    TRY(client_ask(a, "POST", buf_str(&path), NULL, &answer, err));
    return show_answer(a, answer, err);
}

// Suppression lists

enum err_code cli_suppressions_ls(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {{"dataset", "name", cell_str, false},
                                                 {"column", "column", cell_str, false},
                                                 {"keys", "count", cell_number, true}};
    const struct listing l = {"/catalog/suppressions", "suppressions", columns, ARRAY_LEN(columns),
                              true};
    return list_show(a, &l, INT64_MAX, err);
}

enum err_code cli_suppressions_rm(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(json_decrefp) json_t *answer = NULL;
    client_path(&path, "/catalog/suppressions/", a->words[0], "");
    client_option(&path, a, "reason");
    TRY(client_ask(a, "DELETE", buf_str(&path), NULL, &answer, err));
    fprintf(stderr, "rows of the keys that were erased from \"%s\" are let in again\n",
            a->words[0]);
    return ERR_OK;
}
