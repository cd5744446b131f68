// The fault store: passes operations on to another store and spoils those that its plan names.

#include "store/store_fault.h"

#include "base/threads.h"

#include <stdlib.h>
#include <unistd.h>

struct store_fault {
    struct store base;
    struct store *inner;
    bool borrowed;
    pthread_mutex_t lock; // guards all below
    struct str spared;    // may be empty
    struct fault_plan plan;
    uint64_t count;
    bool fired;
    bool crashed;
    char **unsettled; // names of objects that are not durable yet
    size_t unsettled_count, unsettled_cap;
};

// What this operation has to suffer, and its number.
struct fate {
    enum fault_kind kind;
    uint64_t number;
};

// Which kinds of fault an operation can suffer; any other passes it by.
static bool applies(enum fault_kind kind, unsigned operation) {
    switch (kind) {
    case FAULT_NONE:
        return false;
    case FAULT_TEAR:
        return operation == FAULT_ON_PUT;
    case FAULT_FLIP:
        return operation == FAULT_ON_GET;
    case FAULT_FAIL:
    case FAULT_LOST_REPLY:
    case FAULT_DELAY:
    case FAULT_CRASH:
    case FAULT_POWER:
        break;
    }
    return true;
}

static void unsettled_add(struct store_fault *f, struct str name) {
    DEFER(arena_release) struct arena a = ARENA(1 << 12);
    LOCKED(&f->lock);
    if (f->unsettled_count == f->unsettled_cap) {
        f->unsettled_cap = f->unsettled_cap == 0 ? 8 : f->unsettled_cap * 2;
        f->unsettled = xrealloc(f->unsettled, f->unsettled_cap * sizeof(*f->unsettled));
    }
    f->unsettled[f->unsettled_count++] = xstrdup(arena_cstr(&a, name));
}

static void unsettled_remove(struct store_fault *f, struct str name) {
    LOCKED(&f->lock);
    for (size_t i = 0; i < f->unsettled_count; i++) {
        if (str_is(name, f->unsettled[i])) {
            freep(&f->unsettled[i]);
            f->unsettled[i] = f->unsettled[--f->unsettled_count];
            return;
        }
    }
}

// Under the lock. Every other object is torn, the rest are gone.
static void cut_power(struct store_fault *f) {
    for (size_t i = 0; i < f->unsettled_count; i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct err err = ERR_NONE;
        struct str name = str_from(f->unsettled[i]);
        struct str data = STR_NONE;
        if (f->inner->ops->get(f->inner, name, STORE_WHOLE, &a, &data, &err) == ERR_OK) {
            struct str half = str_slice(data, 0, data.len / 2);
            CHECK(i % 2 == 0 ? f->inner->ops->put(f->inner, name, half, STORE_OVER, &err) == ERR_OK
                             : f->inner->ops->del(f->inner, name, &err) == ERR_OK);
        }
        freep(&f->unsettled[i]);
    }
    f->unsettled_count = 0;
}

static struct fate next_fate(struct store_fault *f, unsigned operation, struct str name) {
    int delay_ms = 0;
    struct fate fate = {.kind = FAULT_NONE};
    {
        LOCKED(&f->lock);
        if (f->crashed) {
            return (struct fate){.kind = FAULT_FAIL};
        }
        const bool spared = f->spared.len > 0 && str_eq(name, f->spared);
        if (spared || (f->plan.on != 0 && !(f->plan.on & operation))) {
            return fate;
        }
        fate.number = ++f->count;
        bool due = f->count == f->plan.at || (f->plan.from_then_on && f->count > f->plan.at);
        if (!due || !applies(f->plan.kind, operation)) {
            return fate;
        }
        f->fired = true;
        fate.kind = f->plan.kind;
        delay_ms = f->plan.delay_ms;
        f->crashed = fate.kind == FAULT_CRASH || fate.kind == FAULT_POWER;
        if (fate.kind == FAULT_POWER) {
            cut_power(f);
        }
    }
    if (fate.kind == FAULT_DELAY) {
        (void)usleep((unsigned)delay_ms * 1000);
    }
    return fate;
}

static enum err_code injected(struct err *err) {
    return err_set(err, ERR_IO, "injected fault");
}

static bool does_nothing(struct fate fate) {
    return fate.kind == FAULT_FAIL || fate.kind == FAULT_CRASH || fate.kind == FAULT_POWER;
}

// A lost reply turns any outcome into ERR_IO.
static enum err_code reply(struct fate fate, enum err_code code, struct err *err) {
    return fate.kind == FAULT_LOST_REPLY ? injected(err) : code;
}

static enum err_code fault_get(struct store *s, struct str name, struct store_range range,
                               struct arena *a, struct str *ret, struct err *err) {
    struct store_fault *f = (struct store_fault *)s;
    struct fate fate = next_fate(f, FAULT_ON_GET, name);
    if (does_nothing(fate)) {
        return injected(err);
    }
    struct str data = STR_NONE;
    TRY(reply(fate, f->inner->ops->get(f->inner, name, range, a, &data, err), err));
    if (fate.kind == FAULT_FLIP && data.len > 0) {
        char *copy = arena_cstr(a, data);
        size_t bit = (size_t)(fate.number * 0x9e3779b97f4a7c15ULL) % (data.len * 8);
        copy[bit / 8] = (char)((unsigned char)copy[bit / 8] ^ (1U << (bit % 8)));
        data.ptr = copy;
    }
    *ret = data;
    return ERR_OK;
}

static enum err_code fault_size(struct store *s, struct str name, uint64_t *ret, struct err *err) {
    struct store_fault *f = (struct store_fault *)s;
    struct fate fate = next_fate(f, FAULT_ON_GET, name);
    if (does_nothing(fate)) {
        return injected(err);
    }
    return reply(fate, f->inner->ops->size(f->inner, name, ret, err), err);
}

static enum err_code fault_put(struct store *s, struct str name, struct str data,
                               enum store_write how, struct err *err) {
    struct store_fault *f = (struct store_fault *)s;
    struct fate fate = next_fate(f, FAULT_ON_PUT, name);
    if (does_nothing(fate)) {
        return injected(err);
    }
    if (fate.kind == FAULT_TEAR) {
        struct str half = str_slice(data, 0, data.len / 2);
        TRY(f->inner->ops->put(f->inner, name, half, how, err));
        return injected(err);
    }
    enum err_code code = f->inner->ops->put(f->inner, name, data, how, err);
    if (code == ERR_OK && how == STORE_LATER) {
        unsettled_add(f, name);
    }
    return reply(fate, code, err);
}

static enum err_code fault_put_file(struct store *s, struct str name, const char *path,
                                    enum store_write how, struct err *err) {
    struct store_fault *f = (struct store_fault *)s;
    struct fate fate = next_fate(f, FAULT_ON_PUT, name);
    if (does_nothing(fate)) {
        return injected(err);
    }
    uint64_t bytes = 0;
    enum err_code code = f->inner->ops->put_file(f->inner, name, path, how, err);
    if (code == ERR_OK && how == STORE_LATER) {
        unsettled_add(f, name);
    }
    if (fate.kind != FAULT_TEAR) {
        return reply(fate, code, err);
    }
    TRY(code);
    TRY(f->inner->ops->size(f->inner, name, &bytes, err));
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct str half = STR_NONE;
    TRY(f->inner->ops->get(f->inner, name, (struct store_range){0, bytes / 2}, &a, &half, err));
    TRY(f->inner->ops->put(f->inner, name, half, STORE_OVER, err));
    return injected(err);
}

static enum err_code fault_settle(struct store *s, const struct str *names, size_t count,
                                  struct err *err) {
    struct store_fault *f = (struct store_fault *)s;
    struct fate fate = next_fate(f, FAULT_ON_PUT, STR_NONE);
    if (does_nothing(fate)) {
        return injected(err);
    }
    enum err_code code = f->inner->ops->settle(f->inner, names, count, err);
    for (size_t i = 0; i < count && code == ERR_OK; i++) {
        unsettled_remove(f, names[i]);
    }
    return fate.kind == FAULT_TEAR && code == ERR_OK ? injected(err) : reply(fate, code, err);
}

static enum err_code fault_list(struct store *s, const struct store_page *page, struct arena *a,
                                struct store_list *ret, struct err *err) {
    struct store_fault *f = (struct store_fault *)s;
    struct fate fate = next_fate(f, FAULT_ON_LIST, STR_NONE);
    if (does_nothing(fate)) {
        return injected(err);
    }
    return reply(fate, f->inner->ops->list(f->inner, page, a, ret, err), err);
}

static enum err_code fault_delete(struct store *s, struct str name, struct err *err) {
    struct store_fault *f = (struct store_fault *)s;
    struct fate fate = next_fate(f, FAULT_ON_DELETE, name);
    if (does_nothing(fate)) {
        return injected(err);
    }
    unsettled_remove(f, name);
    return reply(fate, f->inner->ops->del(f->inner, name, err), err);
}

static void fault_clean(struct store *s) {
    store_clean(((struct store_fault *)s)->inner);
}

static enum err_code fault_local(struct store *s, struct str name, struct arena *a, struct str *ret,
                                 struct err *err) {
    struct store_fault *f = (struct store_fault *)s;
    struct fate fate = next_fate(f, FAULT_ON_GET, name);
    if (does_nothing(fate)) {
        return injected(err);
    }
    return reply(fate, f->inner->ops->local(f->inner, name, a, ret, err), err);
}

static void fault_close(struct store *s) {
    struct store_fault *f = (struct store_fault *)s;
    if (!f->borrowed) {
        store_close(f->inner);
    }
    (void)pthread_mutex_destroy(&f->lock);
    for (size_t i = 0; i < f->unsettled_count; i++) {
        free(f->unsettled[i]);
    }
    free(f->unsettled);
    free(f);
}

static const struct store_ops fault_ops = {
    .name = "fault",
    .close = fault_close,
    .get = fault_get,
    .size = fault_size,
    .put = fault_put,
    .put_file = fault_put_file,
    .settle = fault_settle,
    .list = fault_list,
    .del = fault_delete,
    .local = fault_local,
    .clean = fault_clean,
};

struct store *store_fault_new(struct store *inner, bool borrowed) {
    struct store_fault *f = xcalloc(1, sizeof *f);
    f->base.ops = &fault_ops;
    f->inner = inner;
    f->borrowed = borrowed;
    CHECK(pthread_mutex_init(&f->lock, NULL) == 0);
    return &f->base;
}

static struct store_fault *fault_of(struct store *s) {
    CHECK(s->ops == &fault_ops);
    return (struct store_fault *)s;
}

void store_fault_plan(struct store *s, struct fault_plan plan) {
    struct store_fault *f = fault_of(s);
    LOCKED(&f->lock);
    f->plan = plan;
    f->count = 0;
    f->fired = false;
    f->crashed = false;
}

uint64_t store_fault_count(struct store *s) {
    struct store_fault *f = fault_of(s);
    LOCKED(&f->lock);
    return f->count;
}

void store_fault_spare(struct store *s, struct str name) {
    struct store_fault *f = fault_of(s);
    LOCKED(&f->lock);
    f->spared = name;
}

bool store_fault_fired(struct store *s) {
    struct store_fault *f = fault_of(s);
    LOCKED(&f->lock);
    return f->fired;
}
