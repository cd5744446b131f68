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

// A name that the given one may stand for.
struct guess {
    struct str name;
    size_t distance; // 0: differs in case only
};

static struct guess *guess_names(struct catalog *c, struct str name, struct arena *a,
                                 size_t *ret_count) {
    struct guess *ret = NULL;
    size_t count = 0;
    size_t cap = 0;
    LOCKED(&c->lock);
    for (size_t i = 0; i < c->datasets.count; i++) {
        const struct str item = str_from(c->datasets.items[i]);
        const bool same = str_eq_nocase(item, name);
        const size_t distance = same ? 0 : MAX(catalog_name_distance(item, name, NEAR_MAX), 1);
        if (distance <= NEAR_MAX) {
            ret = arena_grow(a, ret, &cap, count + 1, sizeof(*ret));
            ret[count++] = (struct guess){arena_str(a, item), distance};
        }
    }
    *ret_count = count;
    return ret;
}

// The dataset of exactly that name, if they have any right on it.
static bool read_visible(struct catalog *c, struct str name, const struct catalog_rights *r,
                         struct arena *a, struct catalog_dataset *ret) {
    struct catalog_dataset d;
    if (!catalog_dataset_read(c, name, a, &d) || catalog_rights_on(r, d.name, d.bucket) == 0) {
        return false;
    }
    *ret = d;
    return true;
}

// The names that they may know of decide alone, so that the answer says nothing of any other.
static enum err_code find_visible(struct catalog *c, struct str name,
                                  const struct catalog_rights *r, struct arena *a,
                                  struct catalog_dataset *ret, struct err *err) {
    if (read_visible(c, name, r, a, ret)) {
        return ERR_OK;
    }
    size_t count = 0;
    const struct guess *guesses = guess_names(c, name, a, &count);
    struct str near = STR_NONE;
    size_t best = NEAR_MAX + 1;
    size_t same = 0;
    for (size_t i = 0; i < count; i++) {
        const struct guess *g = &guesses[i];
        if ((g->distance == 0 || g->distance < best) && read_visible(c, g->name, r, a, ret)) {
            same += g->distance == 0 ? 1 : 0;
            best = g->distance;
            near = g->name;
        }
    }
    if (same == 1 && read_visible(c, near, r, a, ret)) {
        return ERR_OK;
    }
    if (near.len != 0) {
        return err_set(err, ERR_NOT_FOUND,
                       "no dataset \"" STR_FMT "\"; did you mean \"" STR_FMT "\"?", STR_ARG(name),
                       STR_ARG(near));
    }
    return err_set(err, ERR_NOT_FOUND, "no dataset \"" STR_FMT "\"", STR_ARG(name));
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

enum err_code catalog_dataset_permit(struct catalog *c, struct str name,
                                     const struct catalog_wish *wish, struct arena *a,
                                     struct catalog_dataset *ret, struct err *err) {
    struct catalog_dataset d;
    TRY(find_visible(c, name, wish->rights, a, &d, err));
    const unsigned missing = wish->need & ~catalog_rights_on(wish->rights, d.name, d.bucket);
    if (missing != 0) {
        return err_set(err, ERR_DENIED, "this token may not %s dataset \"" STR_FMT "\"",
                       deed(missing), STR_ARG(d.name));
    }
    *ret = d;
    return ERR_OK;
}
