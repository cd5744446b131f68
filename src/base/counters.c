// Counters: one cache line each, so that threads that count different things do not meet.
#include "base/counters.h"

#include <inttypes.h>
#include <stdatomic.h>

struct cell {
    _Alignas(64) _Atomic int64_t value;
};

static struct cell cells[COUNTER_COUNT];

static const struct {
    const char *name; // as Prometheus wants it
    const char *kind;
    const char *help;
} table[] = {
#define SUFFIX_counter "_total"
#define SUFFIX_gauge ""
#define X(name, kind, help) {"tarn_" #name SUFFIX_##kind, #kind, help},
    COUNTERS(X)
#undef X
};

static struct cell *cell_of(enum counter c) {
    CHECK((size_t)c < ARRAY_LEN(cells));
    return &cells[c];
}

void counter_add(enum counter c, int64_t n) {
    atomic_fetch_add_explicit(&cell_of(c)->value, n, memory_order_relaxed);
}

int64_t counter_get(enum counter c) {
    return atomic_load_explicit(&cell_of(c)->value, memory_order_relaxed);
}

void counters_text(struct buf *out) {
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRId64 "\n", table[i].name,
                   table[i].help, table[i].name, table[i].kind, table[i].name,
                   counter_get((enum counter)i));
    }
}
