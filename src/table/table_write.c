// Writing: describe the source, decide the schema, stage Parquet files, commit.

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/threads.h"
#include "table/table_int.h"
#include "table/table_types.h"

static void type_copy(const struct vec_type *from, struct vec_type *to, struct arena *a) {
    *to = *from;
    to->text = arena_str(a, from->text);
    to->children = arena_array(a, from->child_count, sizeof(*to->children));
    to->names = arena_array(a, from->child_count, sizeof(*to->names));
    to->symbols = NULL;
    to->symbol_count = 0;
    for (size_t i = 0; i < from->child_count; i++) {
        type_copy(&from->children[i], &to->children[i], a);
        to->names[i] = from->names != NULL ? arena_str(a, from->names[i]) : STR_NONE;
    }
}

static enum err_code describe(const struct table_write *w, struct arena *a, struct table_shape *ret,
                              struct err *err) {
    DEFER(rows_closep) struct rows *rows = NULL;
    struct str sql = arena_printf(a, "SELECT * FROM " STR_FMT " LIMIT 0", STR_ARG(w->source));
    TRY(session_query(w->session, sql, &rows, err));
    ret->count = rows_column_count(rows);
    ret->columns = arena_array(a, ret->count, sizeof(*ret->columns));
    for (size_t i = 0; i < ret->count; i++) {
        struct vec_type *type = arena_alloc(a, sizeof(*type));
        type_copy(rows_column_type(rows, i), type, a);
        ret->columns[i] = (struct table_column){arena_str(a, rows_column_name(rows, i)), type};
    }
    return ERR_OK;
}

// The folder that a write stages its files in, removed with what is left in it.
struct stage {
    char *path;
};

static void stage_remove(const char *path) {
    DIR *dir = opendir(path);
    if (dir != NULL) {
        for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
            (void)unlinkat(dirfd(dir), e->d_name, 0);
        }
        (void)closedir(dir);
    }
    (void)rmdir(path);
}

static void stage_release(struct stage *s) {
    if (s->path != NULL) {
        stage_remove(s->path);
        free(s->path);
    }
}

static enum err_code stage_make(struct tables *t, struct arena *a, struct stage *ret,
                                struct err *err) {
    struct str path =
        arena_printf(a, "%s/stage-%d-" STR_FMT, t->spool, (int)getpid(), STR_ARG(id_new(a)));
    if (mkdir(path.ptr, 0700) != 0) {
        return err_errno(err, "cannot make the folder \"%s\"", path.ptr);
    }
    ret->path = xstrdup(path.ptr);
    return ERR_OK;
}

void table_stages_clean(const char *spool) {
    DIR *dir = opendir(spool);
    if (dir == NULL) {
        return;
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        struct str rest = str_from(e->d_name);
        struct str head;
        int64_t pid;
        bool ours = str_cut(&rest, '-', &head) && str_is(head, "stage") &&
                    str_cut(&rest, '-', &head) && str_to_i64(head, &pid) && pid > 0 &&
                    (pid == getpid() || (kill((pid_t)pid, 0) != 0 && errno == ESRCH));
        if (ours) {
            DEFER(arena_release) struct arena a = ARENA(1 << 16);
            stage_remove(arena_printf(&a, "%s/%s", spool, e->d_name).ptr);
        }
    }
    (void)closedir(dir);
}

static enum err_code stage_files(struct table_job *job, const char *folder, struct err *err) {
    const struct table_write *w = job->write;
    struct arena *a = job->arena;
    DEFER(json_decrefp) json_t *schema = ice_schema_json(job->target.schema);
    struct engine_copy copy = {
        .select = arena_printf(a, "SELECT " STR_FMT " FROM " STR_FMT, STR_ARG(job->target.select),
                               STR_ARG(w->source)),
        .path = str_from(folder),
        .field_ids = table_field_ids_sql(job->target.schema, a),
        .kv = arena_printf(a, "{'iceberg.schema': " STR_FMT "}",
                           STR_ARG(sql_literal(json_text(schema, a), a))),
        .file_bytes = job->tables->target_bytes,
    };
    struct table_staged *staged = &job->staged;
    size_t count;
    TRY(engine_copy_to(w->session, &copy, a, &staged->stats, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (staged->stats[i].rows > 0) {
            staged->rows += staged->stats[i].rows;
            staged->bytes += staged->stats[i].bytes;
            staged->stats[staged->count++] = staged->stats[i];
        }
    }
    return ERR_OK;
}

// Nullability over the whole file: a new dataset's columns without a NULL are required; an append
// must not bring NULLs where there have been none, unless it may change the schema.
static enum err_code settle_nulls(struct table_job *job, struct err *err) {
    const struct table_write *w = job->write;
    struct table_target *target = &job->target;
    for (size_t i = 0; i < target->schema->field_count; i++) {
        struct ice_field *f = &target->schema->fields[i];
        int64_t nulls = table_staged_nulls(&job->staged, f);
        if (w->mode != TABLE_APPEND) {
            f->required = nulls == 0 && job->staged.rows > 0;
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

// What there is before a write.
struct found {
    struct catalog_dataset dataset;
    const struct ice_metadata *base; // NULL: no such dataset yet
    bool unchanged;                  // the same file made it already
};

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
        *d = (struct catalog_dataset){.name = w->dataset};
        return ERR_OK;
    }
    if (code != ERR_OK) {
        *err = missing;
        return code;
    }
    if (w->mode == TABLE_CREATE) {
        ret->unchanged = w->source_sha256.len != 0 && str_eq(w->source_sha256, d->source_sha256);
        if (!ret->unchanged) {
            return err_set(err, ERR_EXISTS,
                           "there is a dataset \"" STR_FMT "\" already, made from another file "
                           "(mode=append adds to it, mode=replace puts this in its place)",
                           STR_ARG(d->name));
        }
    }
    return table_metadata_load(t, d, a, &ret->base, err);
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
    struct table_job job = {.tables = t, .write = w, .dataset_id = found.dataset.id, .arena = a};
    struct table_shape shape;
    TRY(describe(w, a, &shape, err));
    TRY(w->mode == TABLE_APPEND ? table_target_append(&shape, found.base, w, a, &job.target, err)
                                : table_target_new(&shape, found.base, w, a, &job.target, err));
    DEFER(stage_release) struct stage stage = {0};
    TRY(stage_make(t, a, &stage, err));
    TRY(stage_files(&job, stage.path, err));
    TRY(settle_nulls(&job, err));
    return table_commit(&job, ret, err);
}
