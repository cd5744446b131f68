// Metrics: from the engine's statistics of a written file to Iceberg's maps by field id.

#include "iceberg/metrics.h"
#include "table/table_int.h"

#define BOUNDED_COLUMNS_MAX 100 // Iceberg's default: bounds of the first 100 columns

static const struct ice_field *field_named(const struct ice_field *fields, size_t count,
                                           struct str name) {
    for (size_t i = 0; i < count; i++) {
        if (str_eq(fields[i].name, name)) {
            return &fields[i];
        }
    }
    return NULL;
}

// The leaf that a path of the engine leads to. *repeated: it lies in a list or map, so that bounds
// say nothing about rows.
static const struct ice_field *leaf_find(const struct ice_schema *s,
                                         const struct engine_column_stats *c, bool *repeated) {
    const struct ice_field *f = NULL;
    const struct ice_field *fields = s->fields;
    size_t count = s->field_count;
    *repeated = false;
    for (size_t i = 0; i < c->part_count; i++) {
        f = field_named(fields, count, c->parts[i]);
        if (f == NULL) {
            return NULL;
        }
        *repeated = *repeated || f->type.kind == ICE_LIST || f->type.kind == ICE_MAP;
        fields = f->type.fields;
        count = f->type.field_count;
    }
    return f != NULL && f->type.field_count == 0 ? f : NULL;
}

static void count_add(struct ice_counts *c, int32_t id, int64_t value) {
    if (value >= 0) {
        c->items[c->count++] = (struct ice_count){id, value};
    }
}

static void bound_add(struct ice_bounds *b, int32_t id, struct str bytes) {
    b->items[b->count++] = (struct ice_bound){id, bytes};
}

static void column_metrics(const struct ice_field *leaf, bool bounded,
                           const struct engine_column_stats *c, struct arena *a,
                           struct ice_data_file *ret) {
    struct str bytes;
    bool floating = leaf->type.kind == ICE_FLOAT || leaf->type.kind == ICE_DOUBLE;
    count_add(&ret->column_bytes, leaf->id, c->column_bytes);
    count_add(&ret->value_counts, leaf->id, c->num_values);
    count_add(&ret->null_counts, leaf->id, c->null_count);
    if (floating && c->nan_known && !c->has_nan) {
        count_add(&ret->nan_counts, leaf->id, 0);
    }
    if (bounded && c->has_min &&
        ice_lower_bound(&leaf->type, c->min, ICE_TRUNCATE_DEFAULT, a, &bytes)) {
        bound_add(&ret->lower, leaf->id, bytes);
    }
    if (bounded && c->has_max &&
        ice_upper_bound(&leaf->type, c->max, ICE_TRUNCATE_DEFAULT, a, &bytes)) {
        bound_add(&ret->upper, leaf->id, bytes);
    }
}

void table_metrics(const struct ice_schema *s, const struct engine_file_stats *stats,
                   struct arena *a, struct ice_data_file *ret) {
    size_t n = stats->column_count;
    struct ice_counts *counts[] = {&ret->column_bytes, &ret->value_counts, &ret->null_counts,
                                   &ret->nan_counts};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        counts[i]->items = arena_array(a, n, sizeof(*counts[i]->items));
    }
    ret->lower.items = arena_array(a, n, sizeof(*ret->lower.items));
    ret->upper.items = arena_array(a, n, sizeof(*ret->upper.items));
    for (size_t i = 0; i < n; i++) {
        bool repeated;
        const struct ice_field *leaf = leaf_find(s, &stats->columns[i], &repeated);
        if (leaf != NULL) {
            bool bounded = !repeated && i < BOUNDED_COLUMNS_MAX;
            column_metrics(leaf, bounded, &stats->columns[i], a, ret);
        }
    }
}

int64_t table_staged_nulls(const struct table_staged *staged, const struct ice_field *f) {
    int64_t nulls = 0;
    if (f->type.field_count != 0) {
        return -1;
    }
    for (size_t i = 0; i < staged->count; i++) {
        const struct engine_file_stats *stats = &staged->stats[i];
        int64_t in_file = -1;
        for (size_t j = 0; j < stats->column_count; j++) {
            const struct engine_column_stats *c = &stats->columns[j];
            if (c->part_count == 1 && str_eq(c->parts[0], f->name)) {
                in_file = c->null_count;
            }
        }
        if (in_file < 0) {
            return -1;
        }
        nulls += in_file;
    }
    return nulls;
}
