// Values as they pass, changed: tarn_map(id, value) is what the mapper of that number makes of a
// VARCHAR, DATE, TIMESTAMP or TIMESTAMP WITH TIME ZONE, of the same type; NULL stays NULL. For the
// server's own statements: no key or secret that a mapper has stands in any SQL.
//
// The functions are called from any thread, for equal values perhaps once; they cannot fail. The
// struct is borrowed until _end, which comes after the statement's end.
#pragma once

#include "engine/engine.h"

struct engine_mapper {
    void (*text)(void *ctx, struct str in, struct buf *out); // appends; UTF-8
    int32_t (*date)(void *ctx, int32_t days);
    int64_t (*timestamp)(void *ctx, int64_t us);
    void *ctx;
};
// The first number that an engine gives is 1.
int64_t engine_map_begin(struct engine *e, const struct engine_mapper *m);
void engine_map_end(struct engine *e, int64_t id);
