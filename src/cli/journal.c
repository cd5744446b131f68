// journal: what was done, by whom; and is the catalog log as it was written? That is asked of the
// server, or of a data folder.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/folder.h"
#include "cli/grid.h"
#include "cli/list.h"
#include "log/txlog.h"
#include "store/store.h"

enum { JOURNAL_ROWS = 100, OUT_BYTES_MAX = 1 << 20, PATH_BYTES_MAX = 1 << 16 };

static void cell_details(struct grid *t, const json_t *j, const char *key) {
    const json_t *details = json_object_get(j, key);
    grid_cell(t, json_is_object(details) ? json_text(details, t->arena) : STR_NONE);
}

// Changes are what a journal is read for: queries that went well stay out, unless an option asks.
static void add_queries(const struct args *a, struct buf *path) {
    const bool asked = args_value(a, "action") != NULL || args_value(a, "seq") != NULL ||
                       args_value(a, "reads") != NULL;
    if (args_value(a, "queries") != NULL || asked) {
        client_option(path, a, "queries");
        return;
    }
    client_parameter(path, "queries", STR("refused"));
    if (isatty(STDERR_FILENO)) {
        fputs("queries that went well are left out; --queries all shows them\n", stderr);
    }
}

enum err_code cli_journal_show(const struct args *a, struct err *err) {
    static const struct list_column columns[] = {
        {"seq", "seq", cell_id, true},
        {"time", "time", cell_time, false},
        {"actor", "actor", cell_str, false},
        {"action", "action", cell_str, false},
        {"target", "target", cell_str, false},
        {"outcome", "outcome", cell_str, false},
        {"reason", "reason", cell_str, false},
        {"sql", "sql", cell_str_if_any, false},
        {"details", "details", cell_details, false},
    };
    static const char *const filters[] = {"actor", "action",  "target", "outcome",
                                          "seq",   "subject", "reads"};
    static const char *const times[] = {"from", "to"};
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    const size_t count = ARRAY_LEN(columns) - (args_flag(a, "details") ? 0 : 1);
    int64_t limit = 0;
    TRY(args_number(a, "limit", JOURNAL_ROWS, INT64_MAX, &limit, err));
    buf_add_cstr(&path, "/journal");
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        client_option(&path, a, filters[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct str time;
        if (args_value(a, times[i]) != NULL) {
            TRY(cli_time_ago(a, times[i], &time, err));
            client_parameter(&path, times[i], time);
        }
    }
    add_queries(a, &path);
    const struct listing journal = {path.ptr, "entries", columns, count, false};
    return list_show(a, &journal, limit, err);
}

// ---- verify

// What a verification came to.
struct verdict {
    struct txlog_report report;
    struct err damage; // code ERR_OK: none was found
};

static enum err_code verify_folder(const struct args *a, const struct txlog_mark *kept,
                                   struct verdict *ret, struct err *err) {
    DEFER(store_closep) struct store *store = NULL;
    TRY(folder_open(a, &store, NULL, err));
    (void)txlog_verify(store, kept, a->arena, &ret->report, &ret->damage);
    return ERR_OK;
}

static uint64_t number(const json_t *j, const char *key) {
    int64_t n = 0;
    return json_get_i64(j, key, &n) && n > 0 ? (uint64_t)n : 0;
}

static enum err_code verify_server(const struct args *a, struct verdict *ret, struct err *err) {
    DEFER(buf_release) struct buf path = BUF(PATH_BYTES_MAX);
    DEFER(json_decrefp) json_t *j = NULL;
    buf_add_cstr(&path, "/journal/verify");
    client_option(&path, a, "head");
    TRY(client_ask(a, "GET", buf_str(&path), NULL, &j, err));
    ret->report = (struct txlog_report){.first_seq = number(j, "first_seq"),
                                        .last_seq = number(j, "last_seq"),
                                        .records = number(j, "records"),
                                        .transactions = number(j, "transactions"),
                                        .changes = number(j, "changes"),
                                        .checkpoints = number(j, "checkpoints"),
                                        .seen_seq = number(j, "seen_seq"),
                                        .head_sha256 = json_str_copy(j, "head_sha256", a->arena),
                                        .note = json_str_copy(j, "note", a->arena)};
    bool good = false;
    if (!json_get_bool(j, "good", &good) || !good) {
        (void)err_set(&ret->damage, ERR_CORRUPT, STR_FMT,
                      STR_ARG(json_str_copy(j, "damage", a->arena)));
    }
    return ERR_OK;
}

// "SEQ:SHA256", as an earlier verification has told them.
static enum err_code read_head(const struct args *a, struct txlog_mark *ret, struct err *err) {
    const char *given = args_value(a, "head");
    struct str rest = str_from(given);
    struct str seq = STR_NONE;
    uint8_t bytes[HEX_SHA256_LEN / 2];
    (void)str_cut(&rest, ':', &seq);
    if (!str_to_u64(seq, &ret->seq) || ret->seq == 0 || !hex_decode(rest, bytes, sizeof(bytes))) {
        return err_set(err, ERR_INVALID,
                       "--head is SEQ:SHA256, as an earlier \"tarn journal verify\" has printed "
                       "them, not \"%.100s\"",
                       given);
    }
    ret->sha256 = rest;
    return ERR_OK;
}

static void show(const struct verdict *v, struct buf *out) {
    const struct txlog_report *r = &v->report;
    buf_printf(out,
               "records       %" PRIu64 "\ntransactions  %" PRIu64 "\nchanges       %" PRIu64
               "\ncheckpoints   %" PRIu64 "\nfirst         %" PRIu64 "\nlast          %" PRIu64
               "\nseen          %" PRIu64 "\n",
               r->records, r->transactions, r->changes, r->checkpoints, r->first_seq, r->last_seq,
               r->seen_seq);
    if (r->last_seq > 0) {
        buf_printf(out, "head          %" PRIu64 ":" STR_FMT "\n", r->last_seq,
                   STR_ARG(r->head_sha256));
    }
    if (r->note.len > 0) {
        buf_printf(out, "note          " STR_FMT "\n", STR_ARG(r->note));
    }
    buf_printf(out, "verdict       %s\n", v->damage.code == ERR_OK ? "good" : "DAMAGED");
}

enum err_code cli_journal_verify(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf out = BUF(OUT_BYTES_MAX);
    struct verdict v = {.damage = ERR_NONE};
    struct txlog_mark kept = {0};
    if (args_value(a, "head") != NULL) {
        TRY(read_head(a, &kept, err));
    }
    TRY(args_value(a, "data") != NULL ? verify_folder(a, kept.seq > 0 ? &kept : NULL, &v, err)
                                      : verify_server(a, &v, err));
    show(&v, &out);
    TRY(grid_write(&out, err));
    if (v.damage.code != ERR_OK) {
        *err = v.damage;
    }
    return v.damage.code;
}
