// Engines for long work, and the checksums that such work proves itself with. For the files of
// upkeep/ and for erase/.
//
// Threads: an engine's session belongs to the thread that opened it.
#pragma once

#include "base/scratch.h"
#include "engine/engine.h"
#include "iceberg/schema.h"
#include "jobs/jobs.h"

struct upkeep;

// An engine for one piece of work, with little memory and its spill folder.
struct upkeep_engine {
    struct engine *engine;
    struct session *session;
    struct scratch spill;
    struct job *job; // whose cancelling interrupts the session; may be NULL
};
// threads 0: as the service is configured.
MUST_CHECK enum err_code upkeep_engine_open(struct upkeep *u, int threads, struct job *job,
                                            struct upkeep_engine *ret, struct err *err);
void upkeep_engine_close(struct upkeep_engine *e); // for DEFER; an empty one is fine

// Progress and cancelling of a job that may be NULL.
void upkeep_progress(struct job *job, int64_t done, int64_t total);
MUST_CHECK enum err_code upkeep_check(struct job *job, struct err *err);

// SQL over rows of the schema, for engine_sum_begin's number. A condition that is true for every
// row and sums it:
struct str upkeep_sum_sql(const struct ice_schema *s, int64_t sum, struct arena *a);
// A select list of all columns that sums each row on its way: in the first column, because a
// condition might be looked at before the one that leaves deleted rows out.
struct str upkeep_summed_sql(const struct ice_schema *s, int64_t sum, struct arena *a);
