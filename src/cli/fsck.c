// fsck: is all that a data folder names there, and whole?
#include <inttypes.h>
#include <stdlib.h>

#include "base/scratch.h"
#include "cli/cli.h"
#include "cli/folder.h"
#include "cli/grid.h"
#include "store/store.h"
#include "upkeep/upkeep.h"

enum { OUT_BYTES_MAX = 64 << 20 };

static json_t *finding_json(const struct upkeep_finding *f) {
    json_t *j = json_object();
    json_object_set_new(j, "damage", json_boolean(f->damage));
    json_object_set_new(j, "dataset", json_new_str(f->dataset));
    json_object_set_new(j, "object", json_new_str(f->object));
    json_object_set_new(j, "what", json_new_str(f->what));
    json_object_set_new(j, "mend", json_new_str(f->mend));
    return j;
}

static void health_json(const struct args *a, const struct upkeep_health *h, struct buf *out) {
    DEFER(json_decrefp) json_t *j = json_object();
    json_t *list = json_array();
    for (size_t i = 0; i < h->count; i++) {
        json_array_append_new(list, finding_json(&h->findings[i]));
    }
    json_object_set_new(j, "records", json_integer((json_int_t)h->records));
    json_object_set_new(j, "datasets", json_integer(h->datasets));
    json_object_set_new(j, "snapshots", json_integer(h->snapshots));
    json_object_set_new(j, "manifests", json_integer(h->manifests));
    json_object_set_new(j, "files", json_integer(h->files));
    json_object_set_new(j, "rows", json_integer(h->rows));
    json_object_set_new(j, "orphans", json_integer(h->orphans));
    json_object_set_new(j, "damages", json_integer(h->damages));
    json_object_set_new(j, "findings", list);
    cli_add_json(a, j, out);
}

static void health_text(const struct upkeep_health *h, struct buf *out) {
    for (size_t i = 0; i < h->count; i++) {
        const struct upkeep_finding *f = &h->findings[i];
        buf_printf(out,
                   "%s  " STR_FMT "%s" STR_FMT "\n        " STR_FMT "\n        mend: " STR_FMT "\n",
                   f->damage ? "DAMAGE" : "note  ", STR_ARG(f->dataset),
                   f->dataset.len > 0 && f->object.len > 0 ? "  " : "", STR_ARG(f->object),
                   STR_ARG(f->what), STR_ARG(f->mend));
    }
    buf_printf(out,
               "records       %" PRIu64 "\ndatasets      %" PRId64 "\nsnapshots     %" PRId64
               "\nmanifests     %" PRId64 "\nfiles         %" PRId64 "\nrows          %" PRId64
               "\norphans       %" PRId64 "\nverdict       %s\n",
               h->records, h->datasets, h->snapshots, h->manifests, h->files, h->rows, h->orphans,
               h->damages == 0 ? "good" : "DAMAGED");
}

static enum err_code look(const struct args *a, struct upkeep_health *ret, struct err *err) {
    const char *temp = getenv("TMPDIR");
    DEFER(store_closep) struct store *store = NULL;
    DEFER(scratch_remove) struct scratch scratch = {.fd = -1};
    struct str uri;
    TRY(folder_open(a, &store, &uri, err));
    TRY(scratch_make(str_from(temp != NULL && *temp != '\0' ? temp : "/tmp"), STR("tarn-fsck-"),
                     &scratch, err));
    const struct upkeep_fsck options = {
        .store = store, .uri = uri, .scratch = str_from(scratch.path)};
    return upkeep_fsck(&options, a->arena, ret, err);
}

enum err_code cli_fsck(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf out = BUF(OUT_BYTES_MAX);
    struct upkeep_health health = {0};
    TRY(look(a, &health, err));
    if (args_flag(a, "json")) {
        health_json(a, &health, &out);
    } else {
        health_text(&health, &out);
    }
    TRY(grid_write(&out, err));
    return health.damages == 0
               ? ERR_OK
               : err_set(err, ERR_CORRUPT, "%lld things are damaged", (long long)health.damages);
}
