// Writing: describe the source, decide the schema, stage Parquet files, commit them.

#include "base/threads.h"
#include "catalog/catalog_view.h"
#include "table/table_commit.h"
#include "table/table_suppress.h"

// A write on its way from source to commit.
struct job {
    struct tables *tables;
    const struct table_write *write;
    struct table_target target;
    struct table_staged staged;
    struct table_entries entries;      // of the data files, once they are in the bucket
    bool moved;                        // they are
    struct table_suppress_lists lists; // that were looked for
    int64_t suppressed;                // rows that they kept out
    struct arena *arena;
};

static enum err_code stage_files(struct job *job, const char *folder, struct err *err) {
    const struct table_write *w = job->write;
    struct arena *a = job->arena;
    const struct table_stage_source source = {
        .select = arena_printf(a, "SELECT " STR_FMT " FROM " STR_FMT, STR_ARG(job->target.select),
                               STR_ARG(w->source)),
        .schema = job->target.schema,
        .folder = folder,
    };
    return table_stage(job->tables, w->session, &source, a, &job->staged, err);
}

// Nullability over the whole file: a new dataset's columns without a NULL are required; an append
// must not bring NULLs where there have been none, unless it may change the schema.
static enum err_code settle_nulls(struct job *job, struct err *err) {
    const struct table_write *w = job->write;
    struct table_target *target = &job->target;
    for (size_t i = 0; i < target->schema->field_count; i++) {
        struct ice_field *f = &target->schema->fields[i];
        int64_t nulls = table_staged_nulls(&job->staged, f);
        if (w->mode != TABLE_APPEND) {
            f->required = nulls == 0 && job->staged.rows > 0 && !w->nullable;
        } else if (f->required && nulls != 0) {
            if (!w->evolve) {
                return err_set(err, ERR_SCHEMA,
                               "column \"" STR_FMT "\" has %lld NULLs in the file, and dataset "
                               "\"" STR_FMT "\" allows none there (evolve=true allows them)",
                               STR_ARG(f->name), (long long)nulls, STR_ARG(w->dataset));
            }
            f->required = false;
            target->evolved = true;
        }
    }
    return ERR_OK;
}

// Leaves out the rows of suppression lists: before the commit, and again in it if there are others.
static enum err_code suppress(struct job *job, struct err *err) {
    const struct table_write *w = job->write;
    struct table_suppress_lists lists;
    int64_t rows;
    TRY(table_suppress_load(job->tables, w->dataset, job->arena, &lists, err));
    if (lists.count == 0 || lists.version == job->lists.version) {
        return ERR_OK;
    }
    if (job->moved) {
        return err_set(err, ERR_CONFLICT,
                       "the suppression lists of dataset \"" STR_FMT "\" changed meanwhile: send "
                       "it again",
                       STR_ARG(w->dataset));
    }
    job->lists = lists;
    const struct table_suppress_work work = {.tables = job->tables,
                                             .session = w->session,
                                             .lists = &lists,
                                             .schema = job->target.schema,
                                             .arena = job->arena};
    TRY(table_suppress_staged(&work, &job->staged, &rows, err));
    job->suppressed += rows;
    return ERR_OK;
}

// What there is before a write.
struct found {
    struct catalog_dataset dataset;
    const struct ice_metadata *base; // NULL: no such dataset yet
    bool unchanged;                  // the same file made it already
};

enum err_code table_taken(struct str name, const char *by, struct err *err) {
    return err_set(err, ERR_EXISTS,
                   "there is a dataset \"" STR_FMT "\" already, made from %s "
                   "(mode=append adds to it, mode=replace puts this in its place)",
                   STR_ARG(name), by);
}

// What there is now, or why this mode cannot go on.
static enum err_code look_up(struct tables *t, const struct table_write *w, struct arena *a,
                             struct found *ret, struct err *err) {
    struct catalog_dataset *d = &ret->dataset;
    struct err missing = ERR_NONE;
    enum err_code code = table_dataset_use(t, w->dataset, a, d, &missing);
    if (code == ERR_NOT_FOUND) {
        if (w->mode == TABLE_APPEND) {
            return err_set(err, ERR_NOT_FOUND, "%s (mode=create makes it)", missing.msg);
        }
        struct catalog_view view;
        if (catalog_view_find(t->catalog, w->dataset, a, &view)) {
            return table_taken(view.name, "another file", err); // perhaps they may not know of it
        }
        *d = (struct catalog_dataset){.name = w->dataset};
        return ERR_OK;
    }
    if (code != ERR_OK) {
        *err = missing;
        return code;
    }
    if (w->mode == TABLE_CREATE) {
        TRY(table_suppress_same_file(t, d, w->source_sha256, err));
        ret->unchanged = true;
    }
    return table_metadata_load(t, d, a, &ret->base, err);
}

static enum err_code prepare(struct table_commit *c, struct table_edit *e, struct err *err) {
    struct job *job = c->ctx;
    const struct table_write *w = job->write;
    const struct ice_metadata *base = c->base.metadata;
    const bool appends = w->mode == TABLE_APPEND;
    if (base != NULL && w->mode == TABLE_CREATE) {
        return err_set(err, ERR_EXISTS, "dataset \"" STR_FMT "\" was made by another meanwhile",
                       STR_ARG(w->dataset));
    }
    if (w->version != 0 && c->base.dataset.version != w->version) {
        return err_set(err, ERR_CONFLICT, "dataset \"" STR_FMT "\" changed while it was read",
                       STR_ARG(w->dataset));
    }
    if (base != NULL && (appends ? base->current_schema_id != job->target.base_schema_id
                                 : !table_target_fits(&job->target, base))) {
        return err_set(err, ERR_SCHEMA,
                       "the schema of dataset \"" STR_FMT "\" changed while the file was read: "
                       "send it again",
                       STR_ARG(w->dataset));
    }
    TRY(suppress(job, err));
    c->who.details = table_suppress_details(w->who.details, job->suppressed, job->arena);
    c->source_lists = job->suppressed > 0 ? job->lists.tag : STR_NONE;
    if (!job->moved) {
        TRY(table_data_put(c, &c->kept, &job->staged, job->target.schema, &job->entries, err));
        job->moved = true;
    }
    e->operation = c->base.snapshot != NULL && !appends ? STR("overwrite") : STR("append");
    e->schema = base == NULL || job->target.evolved ? job->target.schema : NULL;
    e->last_column_id = job->target.last_column_id;
    e->added = job->entries;
    e->removes_all = !appends;
    return ERR_OK;
}

static enum err_code commit(struct job *job, const struct catalog_dataset *found,
                            struct table_written *ret, struct err *err) {
    const struct table_write *w = job->write;
    struct table_commit c = {.tables = job->tables,
                             .dataset = w->dataset,
                             .bucket = w->bucket,
                             .dataset_id = w->mode == TABLE_APPEND ? found->id : STR_NONE,
                             .creates = w->mode != TABLE_APPEND,
                             .who = w->who,
                             .source_sha256 = w->source_sha256,
                             .prepare = prepare,
                             .ctx = job,
                             .arena = job->arena};
    LOCKED(table_write_lock(job->tables, w->dataset));
    TRY(table_commit_run(&c, err));
    *ret = (struct table_written){.dataset = c.after,
                                  .schema = ice_metadata_schema(c.metadata),
                                  .rows = job->staged.rows,
                                  .bytes = job->staged.bytes,
                                  .files = (int64_t)job->staged.count,
                                  .suppressed = job->suppressed,
                                  .created = c.base.metadata == NULL};
    return ERR_OK;
}

enum err_code table_write(struct tables *t, const struct table_write *w, struct arena *a,
                          struct table_written *ret, struct err *err) {
    struct found found = {0};
    TRY(catalog_check_name(w->dataset, err));
    TRY(look_up(t, w, a, &found, err));
    if (found.unchanged) {
        *ret = (struct table_written){
            .dataset = found.dataset, .schema = ice_metadata_schema(found.base), .unchanged = true};
        return ERR_OK;
    }
    struct job job = {.tables = t, .write = w, .arena = a};
    struct table_shape shape;
    TRY(table_describe(w->session, w->source, a, &shape, err));
    TRY(w->mode == TABLE_APPEND ? table_target_append(&shape, found.base, w, a, &job.target, err)
                                : table_target_new(&shape, found.base, w, a, &job.target, err));
    DEFER(table_folder_release) struct table_folder stage = {0};
    TRY(table_folder_make(t, a, &stage, err));
    TRY(stage_files(&job, stage.path, err));
    TRY(suppress(&job, err));
    TRY(settle_nulls(&job, err));
    return commit(&job, &found.dataset, ret, err);
}
