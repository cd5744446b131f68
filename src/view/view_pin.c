// Pins of views: a definition and the states of all datasets that it reads; and the names of the
// masked files that they come to.

#include "base/hash.h"
#include "base/log.h"
#include "table/table_types.h"
#include "view/view_int.h"

// Goes into every name: of what a masked file is, whatever it depends on. Raise it when that
// changes.
#define FORMAT 1

// ---- Filters

struct check {
    struct engine *parser;
    struct str base, filter;
};

static enum err_code filter_load(void *ctx, struct arena *own, const void **ret, struct err *err) {
    const struct check *c = ctx;
    struct guard_filter *f;
    TRY(guard_check_filter(c->parser, arena_str(own, c->base), arena_str(own, c->filter), own, &f,
                           err));
    *ret = f;
    return ERR_OK;
}

enum err_code view_filter_get(struct views *v, struct str base, struct str filter, struct arena *a,
                              const struct guard_filter **ret, struct err *err) {
    struct check c = {v->parser, base, filter};
    const struct cache_loader loader = {filter_load, &c};
    const void *value = NULL;
    const struct str key = arena_printf(a, STR_FMT "\n" STR_FMT, STR_ARG(base), STR_ARG(filter));
    TRY(cache_get(v->filters, key, &loader, a, &value, err));
    *ret = value;
    return ERR_OK;
}

// ---- Pins

struct pinning {
    struct views *views;
    const struct catalog_view *view;
    const struct table_want *at;
    struct arena *arena;
    struct view_pin *pin;
};

// What its reader may know of a view that no longer fits. what: may name a shown column.
static enum err_code unfit(const struct pinning *p, struct str what, struct err *err) {
    return err_set(err, ERR_CONFLICT,
                   p->at->at == TABLE_AT_NOW ? "the view \"" STR_FMT "\" cannot be read: " STR_FMT
                                               "; it must be put again"
                                             : "the view \"" STR_FMT
                                               "\" cannot be read as of then: " STR_FMT,
                   STR_ARG(p->view->name), STR_ARG(what));
}

// What is missing of a dataset that is there is damage.
enum err_code view_hide(const struct catalog_view *view, struct err *err) {
    const enum err_code code = err->code == ERR_NOT_FOUND ? ERR_CORRUPT : err->code;
    log_warn("view.read", "view=%s code=%s error=%s", log_quote(view->name), err_text(err->code),
             log_quote(str_from(err->msg)));
    return err_set(err, code, "the view \"" STR_FMT "\" cannot be read now", STR_ARG(view->name));
}

static enum err_code hide(const struct pinning *p, struct err *err) {
    const enum err_code code = err->code;
    (void)view_hide(p->view, err);
    return code == ERR_NOT_FOUND
               ? unfit(p, STR("a dataset that it was made for is not there any more"), err)
               : err->code;
}

static enum err_code pin_base(struct pinning *p, struct err *err) {
    struct table_want want = *p->at;
    struct table_pin now;
    want.name = p->view->base;
    want.raw = false;
    const enum err_code code =
        table_pin_at(p->views->tables, &want, p->arena, &p->pin->pins[0], err);
    if (code == ERR_NOT_FOUND && want.at != TABLE_AT_NOW) {
        struct err none = ERR_NONE;
        want.at = TABLE_AT_NOW;
        if (table_pin_at(p->views->tables, &want, p->arena, &now, &none) == ERR_OK) {
            return err_set(err, ERR_NOT_FOUND, "the view \"" STR_FMT "\" has no such version%s",
                           STR_ARG(p->view->name),
                           p->at->at == TABLE_AT_TIMESTAMP ? ": it shows nothing so old" : "");
        }
    }
    if (code != ERR_OK) {
        return hide(p, err);
    }
    return str_eq(p->pin->pins[0].dataset.id, p->view->base_id)
               ? ERR_OK
               : unfit(p, STR("its dataset was made anew"), err);
}

static const struct ice_field *find_field(const struct table_pin *pin, struct str name,
                                          int32_t id) {
    const struct ice_field *f = ice_schema_find(pin->schema, name);
    return f != NULL && f->id == id ? f : NULL;
}

static enum err_code find_columns(struct pinning *p, struct err *err) {
    const struct catalog_view *view = p->view;
    p->pin->fields = arena_array(p->arena, view->column_count, sizeof(void *));
    for (size_t i = 0; i < view->column_count; i++) {
        const struct catalog_view_column *c = &view->columns[i];
        const struct ice_field *f = find_field(&p->pin->pins[0], c->name, c->field_id);
        if (f == NULL || !view_mask_fits(&c->mask, &f->type)) {
            return unfit(p,
                         arena_printf(p->arena,
                                      f == NULL ? "its dataset has no column \"" STR_FMT
                                                  "\" as it was defined"
                                                : "the mask of column \"" STR_FMT
                                                  "\" does not go with its type",
                                      STR_ARG(c->name)),
                         err);
        }
        p->pin->fields[i] = f;
    }
    return ERR_OK;
}

// Which pin the dataset of that name is; a new one if it has none yet. A subquery may ask the base,
// too: all of its rows, in the base's state, so that is a pin by itself.
static enum err_code pin_named(struct pinning *p, struct str name, size_t *ret, struct err *err) {
    struct view_pin *pin = p->pin;
    struct table_pin *made = &pin->pins[pin->pin_count];
    const struct table_want want = {.name = name};
    if (table_pin_at(p->views->tables, &want, p->arena, made, err) != ERR_OK) {
        return hide(p, err);
    }
    if (str_eq(made->dataset.id, pin->pins[0].dataset.id)) {
        *made = pin->pins[0];
    }
    for (*ret = 1; !str_eq(pin->pins[*ret].dataset.id, made->dataset.id); ++*ret) {
    }
    pin->pin_count += *ret == pin->pin_count ? 1 : 0;
    return ERR_OK;
}

// A column that went or was renamed must not make a name mean another one: one of a subquery would
// mean the base's.
static enum err_code check_uses(const struct pinning *p, struct err *err) {
    for (size_t i = 0; i < p->view->use_count; i++) {
        const struct catalog_view_use *u = &p->view->uses[i];
        const struct str id = u->dataset_id.len > 0 ? u->dataset_id : p->view->base_id;
        bool found = false;
        for (size_t j = 0; j < p->pin->pin_count && !found; j++) {
            const struct table_pin *pin = &p->pin->pins[j];
            found = str_eq(pin->dataset.id, id) &&
                    (u->name.len == 0 || find_field(pin, u->name, u->field_id) != NULL);
        }
        if (!found) {
            return unfit(p, STR("what its row filter asks for is not there any more"), err);
        }
    }
    return ERR_OK;
}

static enum err_code pin_filter(struct pinning *p, struct err *err) {
    const struct guard_filter *f;
    struct view_pin *pin = p->pin;
    const struct table_pin base = pin->pins[0];
    if (view_filter_get(p->views, base.dataset.name, p->view->row_filter, p->arena, &f, err) !=
        ERR_OK) {
        return unfit(p, STR("its row filter is not understood any more"), err);
    }
    size_t *which = arena_array(p->arena, f->statement->table_count, sizeof(*which));
    pin->pins = arena_array(p->arena, f->statement->table_count + 1, sizeof(*pin->pins));
    pin->pins[0] = base;
    for (size_t i = 0; i < f->statement->table_count; i++) {
        if (i != f->base) {
            TRY(pin_named(p, f->statement->tables[i].name, &which[i], err));
        }
    }
    pin->filter = f->statement;
    pin->filter_pins = which;
    return check_uses(p, err);
}

enum err_code view_pin_at(struct views *v, const struct catalog_view *view,
                          const struct table_want *at, struct arena *a, struct view_pin *ret,
                          struct err *err) {
    struct view_pin pin = {.view = *view, .pin_count = 1};
    struct pinning p = {.views = v, .view = view, .at = at, .arena = a, .pin = &pin};
    pin.pins = arena_alloc(a, sizeof(*pin.pins));
    TRY(view_generation(v, a, &pin.generation, err));
    TRY(pin_base(&p, err));
    TRY(find_columns(&p, err));
    if (view->row_filter.len > 0) {
        TRY(pin_filter(&p, err));
    }
    *ret = pin;
    return ERR_OK;
}

// ---- Keys

static void add_str(struct buf *out, struct str s) {
    buf_printf(out, "%zu:", s.len);
    buf_add_str(out, s);
}

static void add_i64(struct buf *out, int64_t n) {
    buf_printf(out, "%lld,", (long long)n);
}

static void add_field(struct buf *out, const struct ice_field *f, struct arena *a) {
    add_i64(out, f->id);
    add_str(out, f->name);
    add_str(out, table_type_sql(&f->type, a));
}

static void add_definition(struct buf *out, const struct view_pin *pin, struct arena *a) {
    const struct catalog_view *view = &pin->view;
    add_str(out, view->id);
    add_i64(out, view->number);
    add_i64(out, (int64_t)view->column_count);
    for (size_t i = 0; i < view->column_count; i++) {
        const struct catalog_view_column *c = &view->columns[i];
        add_str(out, c->name);
        add_i64(out, (int64_t)c->mask.kind);
        add_i64(out, c->mask.keep_prefix);
        add_i64(out, c->mask.keep_suffix);
        add_field(out, pin->fields[i], a);
    }
    add_str(out, view->row_filter);
}

// The state of a dataset that the filter asks.
static void add_state(struct buf *out, const struct table_pin *pin) {
    add_str(out, pin->dataset.id);
    add_str(out, pin->dataset.metadata);
    add_i64(out, pin->snapshot != NULL ? pin->snapshot->id : 0);
    add_i64(out, pin->schema->schema_id);
    add_str(out, pin->dataset.tombstones.content.object);
}

// What the filter depends on: names mean columns of the base, whichever they are.
static void add_filter(struct buf *out, const struct view_pin *pin, struct arena *a) {
    const struct ice_schema *s = pin->pins[0].schema;
    for (size_t i = 0; i < s->field_count; i++) {
        add_field(out, &s->fields[i], a);
    }
    for (size_t i = 0; i < pin->filter->table_count; i++) {
        add_i64(out, (int64_t)pin->filter_pins[i]);
    }
    for (size_t i = 1; i < pin->pin_count; i++) {
        add_state(out, &pin->pins[i]);
    }
}

static enum err_code common_key(struct views *v, const struct view_pin *pin, struct arena *a,
                                struct str *ret, struct err *err) {
    DEFER(buf_release) struct buf text = BUF(256U << 20);
    struct catalog_secret secret = {0};
    if (view_is_hashed(&pin->view)) {
        TRY(catalog_secret_get(v->catalog, VIEW_SECRET, a, &secret, err));
    }
    add_i64(&text, FORMAT);
    add_str(&text, str_from(engine_version()));
    add_str(&text, secret.id);
    add_str(&text, pin->pins[0].dataset.bucket);
    add_definition(&text, pin, a);
    if (pin->filter != NULL) {
        add_filter(&text, pin, a);
    }
    CHECK(!text.overflow);
    *ret = hex_sha256(sha256(buf_str(&text)), a);
    return ERR_OK;
}

// Deleted rows are told by the files that say so. In a look at an older snapshot tombstones of now
// hide rows as well: then by the rows themselves.
static struct str file_key(struct str common, const struct table_file *f, bool by_rows,
                           struct arena *a) {
    DEFER(buf_release) struct buf text = BUF(1U << 30);
    add_str(&text, common);
    add_str(&text, f->object);
    if (f->deletes != NULL && by_rows) {
        const size_t words = ((size_t)f->deletes->rows + 63) / 64;
        add_str(&text, (struct str){(const char *)f->deletes->bits, words * 8});
    } else if (f->deletes != NULL) {
        for (size_t i = 0; i < f->delete_file_count; i++) {
            add_str(&text, f->delete_files[i]->path);
        }
    }
    CHECK(!text.overflow);
    return str_slice(hex_sha256(sha256(buf_str(&text)), a), 0, VIEW_KEY_LEN);
}

enum err_code view_keys(struct views *v, const struct view_pin *pin, const struct table_scan *scan,
                        struct arena *a, struct str **ret, struct err *err) {
    const struct table_pin *base = &pin->pins[0];
    const bool past =
        base->snapshot != NULL && base->snapshot->id != base->metadata->current_snapshot_id;
    const bool by_rows = past && base->dataset.tombstones.content.object.len > 0;
    struct str common;
    TRY(common_key(v, pin, a, &common, err));
    *ret = arena_array(a, scan->file_count, sizeof(**ret));
    for (size_t i = 0; i < scan->file_count; i++) {
        (*ret)[i] = file_key(common, &scan->files[i], by_rows, a);
    }
    return ERR_OK;
}
