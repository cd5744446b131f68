// Workers: processes in a jail (jail.h), which run what restricted principals ask.
//
// A worker is this very program, run as "tarn worker" with one socket and no environment. Its
// engine can read the files that its server has put into the worker's own folder for the query that
// runs (hard links; gone when the query ends), and nothing else. So whatever its statement does, it
// finds no more than those, and a crash is one failed query.
//
// Workers are kept warm for whom they have worked (a key), and never shared between keys; one more
// waits for a key that is new. At its deadline a statement is interrupted; a second later, or when
// it is cancelled, its worker is killed. The keeper thread starts and buries workers.
//
// On the socket each message is a length (u32), a kind (u8) and its body; worker_int.h has the
// kinds. The server asks for each batch of chunks, so that a worker that is not asked stands still.
//
// Threads: any; a call belongs to one thread, but for worker_cancel.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "engine/engine.h"

struct workers;
struct worker_call;

struct workers_options {
    int64_t count_max;    // workers at once
    int64_t memory_bytes; // of the engine in each; its address space has a margin beyond
    int threads;          // of the engine in each; 0: all processors
    int64_t idle_ms;      // after which one that is not asked ends
    struct str cache;     // folder on the file system of the files; each gets a scratch folder here
    bool weak;            // accept a jail without Landlock
};
// ERR_UNSUPPORTED: the kernel has no Landlock and weak is not set. Starts the first worker.
MUST_CHECK enum err_code workers_open(const struct workers_options *o, struct workers **ret,
                                      struct err *err);
void workers_close(struct workers *w); // no call is open; takes NULL
// Ends all of them as soon as they are idle, so that nothing that they remember stays: for an
// erasure, a new mask key. Takes NULL.
void workers_forget(struct workers *w);

#define WORKER_LOCAL_MAP 1 // number of the mapper that hashes under request.local_key

struct worker_file {
    struct str path; // local
    struct str name; // under which the statement reads it: no slash. A name is used for one
                     // content only, ever: the engine remembers what it has read of it.
};
struct worker_request {
    struct str key; // for whom
    struct str sql; // checked and bound; ENGINE_FALSE_LATE may stand in it
    const struct worker_file *files;
    size_t file_count;
    uint8_t local_key[32];
    int64_t deadline_us; // monotonic clock; 0: none
    int64_t wait_us;     // for a worker that is free, at most until then
};
// Takes a worker, or waits for one (ERR_BUSY: none became free), and asks it to begin. Errors of
// the statement are as session_query's; ERR_INTERNAL: the worker died. What the request points to
// lives until worker_ask has returned.
MUST_CHECK enum err_code worker_begin(struct workers *w, const struct worker_request *r,
                                      struct worker_call **ret, struct err *err);
// From any thread, until worker_end is called: it ends with ERR_CANCELLED, and its worker with it.
void worker_cancel(struct worker_call *c);
// Starts the statement. *ret must be closed before worker_end.
MUST_CHECK enum err_code worker_ask(struct worker_call *c, struct rows **ret, struct err *err);
// Gives the worker back, or ends it if it is not to be trusted with another statement. Takes NULL.
void worker_end(struct worker_call *c);

struct workers_stats {
    int64_t alive, busy, started, killed, crashed;
};
void workers_stats_get(struct workers *w, struct workers_stats *ret);

// The other end: "tarn worker" on descriptor 3. Does not return before its server has gone.
MUST_CHECK enum err_code worker_run(struct err *err);
