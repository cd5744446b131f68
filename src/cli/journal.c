// journal verify: is the catalog log as it was written? Asked of the server, or of a data folder.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"
#include "log/txlog.h"
#include "store/store.h"

enum { OUT_BYTES_MAX = 1 << 20, PATH_BYTES_MAX = 4096 };

// What a verification came to.
struct verdict {
    struct txlog_report report;
    struct err damage; // code ERR_OK: none was found
};

static enum err_code verify_folder(const struct args *a, const struct txlog_mark *kept,
                                   struct verdict *ret, struct err *err) {
    DEFER(store_closep) struct store *store = NULL;
    struct stat st;
    const char *data = args_value(a, "data");
    const char *primary = arena_cstr(a->arena, arena_printf(a->arena, "%s/primary", data));
    if (stat(primary, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return err_set(err, ERR_NOT_FOUND, "%s is no data folder of tarn: there is no %s", data,
                       primary);
    }
    TRY(store_folder_open(primary, &store, err));
    (void)txlog_verify(store, kept, a->arena, &ret->report, &ret->damage);
    return ERR_OK;
}

static uint64_t number(const json_t *j, const char *key) {
    int64_t n = 0;
    return json_get_i64(j, key, &n) && n > 0 ? (uint64_t)n : 0;
}

static struct str text(const json_t *j, const char *key, struct arena *a) {
    struct str s = STR_NONE;
    return json_get_str(j, key, &s) ? arena_str(a, s) : STR_NONE;
}

static enum err_code verify_server(const struct args *a, struct verdict *ret, struct err *err) {
    DEFER(buf_release) struct buf path = BUF(PATH_BYTES_MAX);
    DEFER(json_decrefp) json_t *j = NULL;
    DEFER(client_closep) struct client *c = NULL;
    const char *head = args_value(a, "head");
    client_start();
    TRY(client_open(a, &c, err));
    buf_add_cstr(&path, "/journal/verify");
    if (head != NULL) {
        client_parameter(&path, "head", str_from(head));
    }
    TRY(client_json(c, "GET", buf_str(&path), NULL, &j, err));
    ret->report = (struct txlog_report){.first_seq = number(j, "first_seq"),
                                        .last_seq = number(j, "last_seq"),
                                        .records = number(j, "records"),
                                        .transactions = number(j, "transactions"),
                                        .changes = number(j, "changes"),
                                        .checkpoints = number(j, "checkpoints"),
                                        .seen_seq = number(j, "seen_seq"),
                                        .head_sha256 = text(j, "head_sha256", a->arena),
                                        .note = text(j, "note", a->arena)};
    bool good = false;
    if (!json_get_bool(j, "good", &good) || !good) {
        (void)err_set(&ret->damage, ERR_CORRUPT, STR_FMT, STR_ARG(text(j, "damage", a->arena)));
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
