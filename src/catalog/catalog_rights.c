// Rights: what the roles of a token come to, and what somebody may see, do and be told.

#include <stdlib.h>

#include "base/threads.h"
#include "catalog/catalog_int.h"
#include "catalog/catalog_role.h"

const struct catalog_rights catalog_rights_all = {.admin = true, .impersonate = true};

// ---- Resolving

static int grant_order(const struct catalog_grant *x, const struct catalog_grant *y) {
    return x->object != y->object ? (x->object < y->object ? -1 : 1) : str_cmp(x->name, y->name);
}

static int grant_compare(const void *x, const void *y) {
    return grant_order(x, y);
}

// Those of one name are left in *grants; what stands for every object is noted by itself.
static void sort_out(struct catalog_rights *r, struct catalog_grant *grants, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct catalog_grant *g = &grants[i];
        const bool every = str_is(g->name, "*");
        if (g->object == CATALOG_SERVER) {
            r->admin = r->admin || (g->rights & CATALOG_ADMIN) != 0;
            r->impersonate = true; // either right allows it
        } else if (g->object == CATALOG_DATASET && every) {
            r->every_dataset |= g->rights;
        } else if (g->object == CATALOG_VIEW && every) {
            r->every_view |= g->rights;
        } else {
            grants[kept++] = *g;
        }
    }
    if (kept > 1) {
        qsort(grants, kept, sizeof(*grants), grant_compare);
    }
    size_t last = 0;
    for (size_t i = 1; i < kept; i++) {
        if (grant_order(&grants[last], &grants[i]) == 0) {
            grants[last].rights |= grants[i].rights;
        } else {
            grants[++last] = grants[i];
        }
    }
    r->grants = grants;
    r->grant_count = kept == 0 ? 0 : last + 1;
}

static int64_t wider(int64_t x, int64_t y) {
    return x == 0 || y == 0 ? 0 : MAX(x, y);
}

static struct catalog_limits widest(const struct catalog_limits *x,
                                    const struct catalog_limits *y) {
    return (struct catalog_limits){.rows_max = wider(x->rows_max, y->rows_max),
                                   .bytes_max = wider(x->bytes_max, y->bytes_max),
                                   .time_ms = wider(x->time_ms, y->time_ms),
                                   .queries_max = wider(x->queries_max, y->queries_max)};
}

void catalog_rights_resolve(struct catalog *c, const struct str *roles, size_t role_count,
                            struct arena *a, const struct catalog_rights **ret) {
    struct catalog_rights *r = arena_alloc(a, sizeof(*r));
    struct catalog_role *found = arena_array(a, role_count, sizeof(*found));
    size_t count = 0;
    size_t grant_count = 0;
    txlog_read_lock(c->log);
    for (size_t i = 0; i < role_count; i++) {
        if (catalog_role_find(c, roles[i], a, &found[count])) {
            grant_count += found[count++].grant_count;
        }
    }
    r->seq = txlog_seq(c->log);
    txlog_read_unlock(c->log);
    struct catalog_grant *grants = arena_array(a, grant_count, sizeof(*grants));
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        r->limits = i == 0 ? found[i].limits : widest(&r->limits, &found[i].limits);
        for (size_t g = 0; g < found[i].grant_count; g++) {
            grants[at++] = found[i].grants[g];
        }
    }
    sort_out(r, grants, grant_count);
    *ret = r;
}

bool catalog_rights_none(const struct catalog_rights *r) {
    return !r->admin && !r->impersonate && r->every_dataset == 0 && r->every_view == 0 &&
           r->grant_count == 0;
}

bool catalog_rights_read_raw(const struct catalog_rights *r) {
    bool reads = r->admin || (r->every_dataset & CATALOG_READ_RAW) != 0;
    for (size_t i = 0; i < r->grant_count && !reads; i++) {
        reads = (r->grants[i].rights & CATALOG_READ_RAW) != 0;
    }
    return reads;
}

// ---- Asking

static unsigned granted(const struct catalog_rights *r, enum catalog_object object,
                        struct str name) {
    const struct catalog_grant key = {.object = object, .name = name};
    const struct catalog_grant *g =
        r->grant_count == 0
            ? NULL
            : bsearch(&key, r->grants, r->grant_count, sizeof(*r->grants), grant_compare);
    return g != NULL ? g->rights : 0;
}

unsigned catalog_rights_on(const struct catalog_rights *r, struct str dataset, struct str bucket) {
    if (r->admin) {
        return CATALOG_READ_RAW | CATALOG_WRITE | CATALOG_TOMBSTONE | CATALOG_ERASE;
    }
    return r->every_dataset | granted(r, CATALOG_DATASET, dataset) |
           granted(r, CATALOG_BUCKET, bucket);
}

unsigned catalog_rights_on_view(const struct catalog_rights *r, struct str view) {
    return r->admin ? CATALOG_READ : r->every_view | granted(r, CATALOG_VIEW, view);
}

enum err_code catalog_permit_impersonate(const struct catalog_rights *r, struct err *err) {
    return r->impersonate || r->admin
               ? ERR_OK
               : err_set(err, ERR_DENIED,
                         "this token may not see as others: it takes the right impersonate on the "
                         "server");
}

enum err_code catalog_permit_admin(const struct catalog_rights *r, struct err *err) {
    return r->admin ? ERR_OK
                    : err_set(err, ERR_DENIED,
                              "this token may not do that: it takes the right "
                              "admin on the server");
}

enum err_code catalog_permit_create(const struct catalog_rights *r, struct str bucket,
                                    struct err *err) {
    const struct str name = bucket.len > 0 ? bucket : STR("primary");
    if (r->admin || (granted(r, CATALOG_BUCKET, name) & CATALOG_WRITE) != 0) {
        return ERR_OK;
    }
    return err_set(err, ERR_DENIED,
                   "this token may not make datasets: it takes the right write on the bucket");
}

enum err_code catalog_permit_rename(const struct catalog_rights *r, const struct catalog_dataset *d,
                                    struct str to, struct err *err) {
    const unsigned now = catalog_rights_on(r, d->name, d->bucket);
    const unsigned then = catalog_rights_on(r, to, d->bucket);
    TRY(catalog_permit_create(r, d->bucket, err));
    if ((then & ~now) != 0) {
        return err_set(err, ERR_DENIED,
                       "this token would have more rights on the dataset under its new name");
    }
    return ERR_OK;
}

// ---- Looking up

#define NEAR_MAX 2 // edits between a name and one that is suggested

// Who looks, and for what.
struct look {
    struct catalog *catalog;
    const struct catalog_rights *rights;
    bool datasets, views;
    struct arena *arena;
};

// A name that the given one may stand for.
struct guess {
    struct str name;
    size_t distance; // 0: differs in case only
    bool is_view;
};

struct guesses {
    struct guess *items;
    size_t count, cap;
};

static void guess(const struct look *l, const struct name_list *names, struct str name,
                  bool is_view, struct guesses *ret) {
    for (size_t i = 0; i < names->count; i++) {
        const struct str item = str_from(names->items[i]);
        const bool same = str_eq_nocase(item, name);
        const size_t distance = same ? 0 : MAX(catalog_name_distance(item, name, NEAR_MAX), 1);
        if (distance <= NEAR_MAX) {
            ret->items =
                arena_grow(l->arena, ret->items, &ret->cap, ret->count + 1, sizeof(*ret->items));
            ret->items[ret->count++] = (struct guess){arena_str(l->arena, item), distance, is_view};
        }
    }
}

// Datasets first.
static struct guesses guess_names(const struct look *l, struct str name) {
    struct catalog *c = l->catalog;
    struct guesses ret = {0};
    const struct str folded = catalog_folded_key(STR(""), name, l->arena);
    LOCKED(&c->lock);
    if (l->datasets) {
        guess(l, &c->datasets, name, false, &ret);
    }
    if (l->views) {
        guess(l, &c->views, folded, true, &ret);
    }
    return ret;
}

// The dataset of exactly that name, if they have any right on it.
static bool read_dataset(const struct look *l, struct str name, struct catalog_table *ret) {
    struct catalog_dataset d;
    if (!catalog_dataset_read(l->catalog, name, l->arena, &d) ||
        catalog_rights_on(l->rights, d.name, d.bucket) == 0) {
        return false;
    }
    *ret = (struct catalog_table){.dataset = d};
    return true;
}

// The view of that name, whatever its case, if they may read it; without its definition.
static bool read_view(const struct look *l, struct str name, struct catalog_table *ret) {
    struct catalog_view v;
    if (!catalog_view_find(l->catalog, name, l->arena, &v) ||
        catalog_rights_on_view(l->rights, v.name) == 0) {
        return false;
    }
    *ret = (struct catalog_table){.is_view = true, .view = v};
    return true;
}

static bool read_guess(const struct look *l, const struct guess *g, struct catalog_table *ret) {
    return g->is_view ? read_view(l, g->name, ret) : read_dataset(l, g->name, ret);
}

static enum err_code not_found(const struct look *l, struct str name, struct str near,
                               struct err *err) {
    const char *what = l->datasets ? "dataset" : "view";
    if (near.len != 0) {
        return err_set(err, ERR_NOT_FOUND, "no %s \"" STR_FMT "\"; did you mean \"" STR_FMT "\"?",
                       what, STR_ARG(name), STR_ARG(near));
    }
    return err_set(err, ERR_NOT_FOUND, "no %s \"" STR_FMT "\"", what, STR_ARG(name));
}

// The names that they may know of decide alone, so that the answer says nothing of any other.
static enum err_code find_visible(const struct look *l, struct str name, struct catalog_table *ret,
                                  struct err *err) {
    struct catalog_table found;
    if ((l->datasets && read_dataset(l, name, &found)) ||
        (l->views && read_view(l, name, &found) && str_eq(found.view.name, name))) {
        *ret = found;
        return ERR_OK;
    }
    const struct guesses guesses = guess_names(l, name);
    struct str near = STR_NONE;
    size_t best = NEAR_MAX + 1;
    size_t same = 0;
    for (size_t i = 0; i < guesses.count; i++) {
        const struct guess *g = &guesses.items[i];
        const bool wins = g->distance == 0 ? !g->is_view || same == 0 : g->distance < best;
        if (wins && read_guess(l, g, &found)) {
            same += g->distance == 0 ? 1 : 0;
            best = g->distance;
            near = g->is_view ? found.view.name : found.dataset.name;
            *ret = found;
        }
    }
    return same == 1 ? ERR_OK : not_found(l, name, near, err);
}

static const char *deed(unsigned missing) {
    if ((missing & CATALOG_READ_RAW) != 0) {
        return "read the rows of";
    }
    if ((missing & CATALOG_WRITE) != 0) {
        return "write to";
    }
    return (missing & CATALOG_TOMBSTONE) != 0 ? "tombstone rows of" : "erase rows of";
}

static enum err_code need_on(const struct catalog_wish *wish, const struct catalog_dataset *d,
                             struct err *err) {
    const unsigned missing = wish->need & ~catalog_rights_on(wish->rights, d->name, d->bucket);
    if (missing != 0) {
        return err_set(err, ERR_DENIED, "this token may not %s dataset \"" STR_FMT "\"",
                       deed(missing), STR_ARG(d->name));
    }
    return ERR_OK;
}

enum err_code catalog_dataset_permit(struct catalog *c, struct str name,
                                     const struct catalog_wish *wish, struct arena *a,
                                     struct catalog_dataset *ret, struct err *err) {
    const struct look l = {.catalog = c, .rights = wish->rights, .datasets = true, .arena = a};
    struct catalog_table found;
    TRY(find_visible(&l, name, &found, err));
    TRY(need_on(wish, &found.dataset, err));
    *ret = found.dataset;
    return ERR_OK;
}

// It may go while its definition is read.
static enum err_code define(const struct look *l, struct str name, struct catalog_view *v,
                            struct err *err) {
    const enum err_code code = catalog_view_define(l->catalog, v, l->arena, err);
    return code == ERR_NOT_FOUND ? not_found(l, name, STR_NONE, err) : code;
}

enum err_code catalog_table_permit(struct catalog *c, struct str name,
                                   const struct catalog_wish *wish, struct arena *a,
                                   struct catalog_table *ret, struct err *err) {
    const struct look l = {
        .catalog = c, .rights = wish->rights, .datasets = true, .views = true, .arena = a};
    struct catalog_table found;
    TRY(find_visible(&l, name, &found, err));
    TRY(found.is_view ? define(&l, name, &found.view, err) : need_on(wish, &found.dataset, err));
    *ret = found;
    return ERR_OK;
}

enum err_code catalog_view_permit(struct catalog *c, struct str name,
                                  const struct catalog_rights *r, struct arena *a,
                                  struct catalog_view *ret, struct err *err) {
    const struct look l = {.catalog = c, .rights = r, .views = true, .arena = a};
    struct catalog_table found;
    TRY(find_visible(&l, name, &found, err));
    TRY(define(&l, name, &found.view, err));
    *ret = found.view;
    return ERR_OK;
}

enum err_code catalog_permit_name(struct catalog *c, const struct catalog_rights *r,
                                  struct str name, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    const struct look l = {.catalog = c, .rights = r, .views = true, .arena = &a};
    struct catalog_table found;
    if (read_view(&l, name, &found)) {
        return err_set(err, ERR_EXISTS,
                       "there is a view \"" STR_FMT "\" already: a name is a dataset's or a view's",
                       STR_ARG(found.view.name));
    }
    return ERR_OK;
}
