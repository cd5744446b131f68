// Refused attempts, on their way into the journal.
//
// The request that was refused does not wait: its note is queued, and a thread writes what waits,
// a tenth of a second later, in as few records as may be. A principal gets so many notes a minute,
// and an address that fails to say who it is gets one; the rest is counted, and told in one note at
// the minute's end. What finds the queue full is dropped, and counted in /metrics.
//
// A note holds no value of a request but the name of what it was about and the reason that was
// given for it (of requests that name subjects, not even that). Of an address it holds a hash under
// a key that goes with the process: notes of one run of the server can be told to be about the same
// one.
//
// Threads: any.
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "catalog/catalog.h"

struct refusals;

struct refusals_options {
    int64_t window_ms;     // the minute
    int64_t principal_max; // notes of a principal in it
};

// The catalog is borrowed.
struct refusals *refusals_new(struct catalog *c, const struct refusals_options *o);
void refusals_close(struct refusals *r); // writes what waits and what was counted; takes NULL

struct refusal {
    struct str actor, action, target, reason;
    enum err_code why;
};
// Texts are copied.
void refusals_note(struct refusals *r, const struct refusal *what);
// Somebody at this address ("127.0.0.1:50001") did not say who it is.
void refusals_note_stranger(struct refusals *r, struct str remote);
