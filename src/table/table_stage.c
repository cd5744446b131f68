// Staging: Parquet files in the spool folder, on their way into a bucket.

#include "base/hash.h"
#include "table/table_int.h"
#include "table/table_types.h"

// Rows of a row group.
#define GROUP_VALUES (INT64_C(122880) * 16)
#define GROUP_ROWS_MAX INT64_C(122880) // the engine's own choice, 60 of its vectors
#define GROUP_STEP INT64_C(2048)

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

enum err_code table_describe(struct session *s, struct str source, struct arena *a,
                             struct table_shape *ret, struct err *err) {
    DEFER(rows_closep) struct rows *rows = NULL;
    struct str sql = arena_printf(a, "SELECT * FROM " STR_FMT " LIMIT 0", STR_ARG(source));
    TRY(session_query(s, sql, &rows, err));
    ret->count = rows_column_count(rows);
    ret->columns = arena_array(a, ret->count, sizeof(*ret->columns));
    for (size_t i = 0; i < ret->count; i++) {
        struct vec_type *type = arena_alloc(a, sizeof(*type));
        type_copy(rows_column_type(rows, i), type, a);
        ret->columns[i] = (struct table_column){arena_str(a, rows_column_name(rows, i)), type};
    }
    return ERR_OK;
}

void table_folder_release(struct table_folder *s) {
    scratch_remove(&s->scratch);
    s->path = NULL;
}

enum err_code table_folder_make(struct tables *t, struct arena *a, struct table_folder *ret,
                                struct err *err) {
    (void)a;
    TRY(scratch_make(str_from(t->spool), STR(SCRATCH_STAGE), &ret->scratch, err));
    ret->path = ret->scratch.path;
    return ERR_OK;
}

void table_stages_clean(const char *spool) {
    (void)scratch_clean(str_from(spool), STR(SCRATCH_STAGE));
}

// Each thread gathers a row group before it is written: the more columns, the fewer rows.
static int64_t group_rows(const struct ice_schema *s) {
    const int64_t rows = GROUP_VALUES / (int64_t)MAX(s->field_count, 1) / GROUP_STEP * GROUP_STEP;
    return MAX(GROUP_STEP, MIN(rows, GROUP_ROWS_MAX));
}

enum err_code table_stage(struct tables *t, struct session *s,
                          const struct table_stage_source *source, struct arena *a,
                          struct table_staged *ret, struct err *err) {
    DEFER(json_decrefp) json_t *schema = ice_schema_json(source->schema);
    const struct engine_copy copy = {
        .select = table_plain_zeros_sql(source->schema, source->select, a),
        .path = source->one_file ? arena_printf(a, "%s/0.parquet", source->folder)
                                 : str_from(source->folder),
        .field_ids = table_field_ids_sql(source->schema, a),
        .kv = arena_printf(a, "{'iceberg.schema': " STR_FMT "}",
                           STR_ARG(sql_literal(json_text(schema, a), a))),
        .file_bytes = source->one_file           ? 0
                      : source->target_bytes > 0 ? source->target_bytes
                                                 : t->target_bytes,
        .group_rows = group_rows(source->schema),
    };
    size_t count;
    *ret = (struct table_staged){0};
    TRY(engine_copy_to(s, &copy, a, &ret->stats, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (ret->stats[i].rows > 0) {
            ret->rows += ret->stats[i].rows;
            ret->bytes += ret->stats[i].bytes;
            ret->stats[ret->count++] = ret->stats[i];
        }
    }
    return ERR_OK;
}
