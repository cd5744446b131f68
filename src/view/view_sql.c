// The SQL of views: what is written into masked files, and how they are read.

#include "base/hash.h"
#include "engine/engine_map.h"
#include "table/table_types.h"
#include "view/view_int.h"

#define SQL_MAX (256U << 20)
#define VALUE_MAX (1U << 30) // bytes of a text that is hashed twice

// ---- Masks as functions of the engine

// A column's mask, known to the engine as long as its arena lives.
struct map {
    struct engine *engine;
    struct masker *masker;
    struct masker *again; // hashes what the first one makes; NULL: nothing does
    struct engine_mapper mapper;
    int64_t id;
};

static void map_text(void *ctx, struct str in, struct buf *out) {
    const struct map *m = ctx;
    if (m->again == NULL) {
        masker_text(m->masker, in, out);
        return;
    }
    DEFER(buf_release) struct buf once = BUF(VALUE_MAX);
    masker_text(m->masker, in, &once);
    masker_text(m->again, buf_str(&once), out);
}

static int32_t map_date(void *ctx, int32_t days) {
    return masker_date(((const struct map *)ctx)->masker, days);
}

static int64_t map_timestamp(void *ctx, int64_t us) {
    return masker_timestamp(((const struct map *)ctx)->masker, us);
}

static void map_end(void *arg) {
    struct map *m = arg;
    engine_map_end(m->engine, m->id);
    masker_free(m->masker);
    masker_free(m->again);
}

static bool has_map(enum mask_kind kind) {
    return kind != MASK_NONE && kind != MASK_NULL && kind != MASK_DEFAULT;
}

static bool is_hash(enum mask_kind kind) {
    return kind == MASK_HASH || kind == MASK_HASH_LOCAL;
}

bool view_is_hashed(const struct catalog_view *view) {
    for (size_t i = 0; i < view->column_count; i++) {
        if (is_hash(view->columns[i].mask.kind)) {
            return true;
        }
    }
    return false;
}

static int64_t map_begin(struct views *v, const struct mask *mask, const struct mask_keys *keys,
                         const uint8_t *again, struct arena *a) {
    struct map *m = arena_alloc(a, sizeof(*m));
    m->engine = v->engine;
    m->masker = masker_new(mask, keys);
    m->again = mask->kind == MASK_HASH_LOCAL && again != NULL ? masker_new_hash(again) : NULL;
    m->mapper = (struct engine_mapper){
        .text = map_text, .date = map_date, .timestamp = map_timestamp, .ctx = m};
    m->id = engine_map_begin(v->engine, &m->mapper);
    arena_defer(a, map_end, m);
    return m->id;
}

enum err_code view_maps_begin(struct views *v, const struct catalog_view *view, bool twice,
                              struct arena *a, struct view_maps *ret, struct err *err) {
    struct catalog_secret secret;
    struct mask_keys keys = {0};
    uint8_t again[32];
    random_bytes(again, sizeof(again));
    if (view_is_hashed(view)) {
        TRY(catalog_secret_get(v->catalog, VIEW_SECRET, a, &secret, err));
        mask_keys_derive(secret.bytes, &keys);
    }
    ret->ids = arena_array(a, view->column_count, sizeof(*ret->ids));
    for (size_t i = 0; i < view->column_count; i++) {
        const struct mask *mask = &view->columns[i].mask;
        if (has_map(mask->kind)) {
            ret->ids[i] = map_begin(v, mask, &keys, twice ? again : NULL, a);
        }
    }
    return ERR_OK;
}

bool view_mask_fits(const struct mask *m, const struct ice_type *type) {
    return (m->kind != MASK_YEAR && m->kind != MASK_MONTH) || type->kind == ICE_DATE ||
           type->kind == ICE_TIMESTAMP || type->kind == ICE_TIMESTAMPTZ;
}

// ---- Columns

static struct str default_sql(const struct ice_type *type, struct arena *a) {
    static const char *const values[] = {
        [ICE_BOOLEAN] = "false",
        [ICE_INT] = "0",
        [ICE_LONG] = "0",
        [ICE_FLOAT] = "0",
        [ICE_DOUBLE] = "0",
        [ICE_DECIMAL] = "0",
        [ICE_DATE] = "1970-01-01",
        [ICE_TIME] = "00:00:00",
        [ICE_TIMESTAMP] = "1970-01-01 00:00:00",
        [ICE_TIMESTAMPTZ] = "1970-01-01 00:00:00+00",
        [ICE_STRING] = "",
        [ICE_UUID] = "00000000-0000-0000-0000-000000000000",
        [ICE_BINARY] = "",
        [ICE_FIXED] = "",
    };
    const char *value = (size_t)type->kind < ARRAY_LEN(values) ? values[type->kind] : NULL;
    return arena_printf(a, "CAST(%s%s%s AS " STR_FMT ")", value != NULL ? "'" : "NULL",
                        value != NULL ? value : "", value != NULL ? "'" : "",
                        STR_ARG(table_type_sql(type, a)));
}

// What a column is shown as.
static struct str shown_type(const struct mask *mask, const struct ice_type *type,
                             struct arena *a) {
    const bool text = is_hash(mask->kind) || mask->kind == MASK_KEEP || mask->kind == MASK_ALPHANUM;
    return text ? STR("VARCHAR") : table_type_sql(type, a);
}

static struct str shown_sql(const struct mask *mask, const struct ice_field *f, int64_t map,
                            struct arena *a) {
    const struct str name = sql_ident(f->name, a);
    switch (mask->kind) {
    case MASK_NONE:
        return name;
    case MASK_NULL:
        return arena_printf(a, "CAST(NULL AS " STR_FMT ")", STR_ARG(table_type_sql(&f->type, a)));
    case MASK_DEFAULT:
        return default_sql(&f->type, a);
    case MASK_YEAR:
    case MASK_MONTH:
        return arena_printf(a, "tarn_map(%lld, " STR_FMT ")", (long long)map, STR_ARG(name));
    case MASK_HASH:
    case MASK_HASH_LOCAL:
    case MASK_KEEP:
    case MASK_ALPHANUM:
        break;
    }
    return arena_printf(a, "tarn_map(%lld, CAST(" STR_FMT " AS VARCHAR))", (long long)map,
                        STR_ARG(name));
}

static void add_column(struct str sql, struct str name, struct buf *out, struct arena *a) {
    buf_printf(out, "%s" STR_FMT " AS " STR_FMT, out->len > 0 ? ", " : "SELECT ", STR_ARG(sql),
               STR_ARG(sql_ident(name, a)));
}

// ---- Statements

struct str view_bind(const struct guard_statement *g, const size_t *pins, const struct str *scans,
                     struct arena *a) {
    struct str *bound = arena_array(a, g->table_count, sizeof(*bound));
    for (size_t i = 0; i < g->table_count; i++) {
        bound[i] = scans[pins[i]];
    }
    return guard_bind(g, bound, a);
}

struct str view_masked_sql(const struct view_pin *pin, const struct str *scans,
                           const struct view_maps *maps, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(SQL_MAX);
    const struct str rows =
        pin->filter != NULL ? view_bind(pin->filter, pin->filter_pins, scans, a) : scans[0];
    for (size_t i = 0; i < pin->view.column_count; i++) {
        const struct catalog_view_column *c = &pin->view.columns[i];
        add_column(shown_sql(&c->mask, pin->fields[i], maps->ids[i], a), c->name, &out, a);
    }
    buf_printf(&out, " FROM (" STR_FMT "\n) AS tarn_view", STR_ARG(rows));
    CHECK(!out.overflow);
    return arena_str(a, buf_str(&out));
}

bool view_has_local(const struct view_pin *pin) {
    for (size_t i = 0; i < pin->view.column_count; i++) {
        if (pin->view.columns[i].mask.kind == MASK_HASH_LOCAL) {
            return true;
        }
    }
    return false;
}

struct str view_scan_sql(const struct view_pin *pin, const struct str *paths, size_t path_count,
                         int64_t local, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(SQL_MAX);
    for (size_t i = 0; i < pin->view.column_count; i++) {
        const struct catalog_view_column *c = &pin->view.columns[i];
        struct str sql = sql_ident(c->name, a);
        if (path_count == 0) {
            sql = arena_printf(a, "CAST(NULL AS " STR_FMT ")",
                               STR_ARG(shown_type(&c->mask, &pin->fields[i]->type, a)));
        } else if (c->mask.kind == MASK_HASH_LOCAL) {
            sql = arena_printf(a, "tarn_map(%lld, " STR_FMT ")", (long long)local, STR_ARG(sql));
        }
        add_column(sql, c->name, &out, a);
    }
    buf_add_cstr(&out, path_count > 0 ? " FROM read_parquet([" : " WHERE false");
    for (size_t i = 0; i < path_count; i++) {
        buf_add_cstr(&out, i > 0 ? ", " : "");
        buf_add_str(&out, sql_literal(paths[i], a));
    }
    buf_add_cstr(&out, path_count > 0 ? "], hive_partitioning=" ENGINE_FALSE_LATE ")" : "");
    CHECK(!out.overflow);
    return arena_str(a, buf_str(&out));
}

// The line break ends a comment.
enum err_code view_shown_check(struct engine *parser, struct str base, struct str filter,
                               struct arena *a, struct guard_statement **ret, struct err *err) {
    const struct str sql = arena_printf(a, "SELECT *, (" STR_FMT "\n) AS tarn_shown FROM " STR_FMT,
                                        STR_ARG(filter), STR_ARG(sql_ident(base, a)));
    return guard_check(parser, sql, a, ret, err);
}

static enum err_code scan_all(struct views *v, const struct view_pin *pin, struct arena *a,
                              struct str **ret, struct err *err) {
    const struct table_conditions none = {0};
    *ret = arena_array(a, pin->pin_count, sizeof(**ret));
    for (size_t i = 0; i < pin->pin_count; i++) {
        struct table_scan scan;
        TRY(table_scan_plan(v->tables, &pin->pins[i], &none, a, &scan, err));
        (*ret)[i] = table_scan_sql(&pin->pins[i], &scan, a);
    }
    return ERR_OK;
}

// All live rows of the base, and whether the filter lets each through. The filter's tables are
// those of the checked one, though in another order.
static enum err_code live_sql(struct views *v, const struct view_pin *pin, const struct str *scans,
                              struct arena *a, struct str *ret, struct err *err) {
    struct str rows = arena_printf(a, "SELECT *, true AS tarn_shown FROM (" STR_FMT ") AS tarn_all",
                                   STR_ARG(scans[0]));
    if (pin->filter != NULL) {
        struct guard_statement *g;
        TRY(view_shown_check(v->parser, pin->pins[0].dataset.name, pin->view.row_filter, a, &g,
                             err));
        struct str *bound = arena_array(a, g->table_count, sizeof(*bound));
        for (size_t i = 0; i < g->table_count; i++) {
            bound[i] = scans[0];
            for (size_t j = 0; j < pin->filter->table_count; j++) {
                if (str_eq_nocase(g->tables[i].name, pin->filter->tables[j].name)) {
                    bound[i] = scans[pin->filter_pins[j]];
                }
            }
        }
        rows = guard_bind(g, bound, a);
    }
    *ret = rows;
    return ERR_OK;
}

// True values, with maps also what is shown for them, and whether the row is shown.
static enum err_code true_sql(struct views *v, const struct view_pin *pin,
                              const struct view_maps *maps, struct arena *a, struct str *ret,
                              struct err *err) {
    DEFER(buf_release) struct buf out = BUF(SQL_MAX);
    struct str *scans;
    struct str rows;
    TRY(scan_all(v, pin, a, &scans, err));
    TRY(live_sql(v, pin, scans, a, &rows, err));
    for (size_t i = 0; i < pin->view.column_count; i++) {
        add_column(sql_ident(pin->fields[i]->name, a), pin->view.columns[i].name, &out, a);
    }
    for (size_t i = 0; maps != NULL && i < pin->view.column_count; i++) {
        add_column(shown_sql(&pin->view.columns[i].mask, pin->fields[i], maps->ids[i], a),
                   arena_printf(a, "m%zu", i + 1), &out, a);
    }
    buf_printf(&out,
               ", COALESCE(tarn_shown, false) AS tarn_shown FROM (" STR_FMT "\n) AS tarn_view",
               STR_ARG(rows));
    CHECK(!out.overflow);
    *ret = arena_str(a, buf_str(&out));
    return ERR_OK;
}

enum err_code view_raw_sql(struct views *v, const struct view_pin *pin, bool shown_only,
                           struct arena *a, struct str *ret, struct err *err) {
    struct view_maps maps;
    struct str *scans;
    if (!shown_only) {
        return true_sql(v, pin, NULL, a, ret, err);
    }
    TRY(scan_all(v, pin, a, &scans, err));
    TRY(view_maps_begin(v, &pin->view, true, a, &maps, err));
    *ret = view_masked_sql(pin, scans, &maps, a);
    return ERR_OK;
}

enum err_code view_compare_sql(struct views *v, const struct view_pin *pin, struct arena *a,
                               struct str *ret, struct err *err) {
    struct view_maps maps;
    TRY(view_maps_begin(v, &pin->view, true, a, &maps, err));
    return true_sql(v, pin, &maps, a, ret, err);
}
