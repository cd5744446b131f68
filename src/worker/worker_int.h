// What a worker and its server share: the messages on their socket. What the files of the server's
// side share: the pool.
//
//   message  u32 bytes of the body, u8 kind, the body; numbers in the machine's byte order
//   text     u32 length, bytes
//
// The server sends SETUP to a new worker, which enters its jail and answers HELLO. Then, each time,
// QUERY: the worker answers with COLUMNS and the first CHUNKS, and then with CHUNKS for each NEXT,
// until one of them says that it is the last. STOP comes in the place of NEXT and ends it before,
// with END. In the place of each answer ERROR may stand, after which it waits for a QUERY.
#pragma once

#include <sys/types.h>

#include "base/scratch.h"
#include "base/threads.h"
#include "worker/worker.h"

enum message {
    MESSAGE_SETUP = 1, // i64 memory, i32 threads, u8 weak, text folder
    MESSAGE_HELLO,     // u32 MESSAGE_VERSION, i32 version of Landlock
    MESSAGE_QUERY,     // i64 deadline, 32 bytes of key, text statement
    MESSAGE_NEXT,      // nothing
    MESSAGE_STOP,      // nothing
    MESSAGE_COLUMNS,   // wire_write_columns
    MESSAGE_CHUNKS,    // u8 last, then texts of wire_write_chunk
    MESSAGE_END,       // nothing
    MESSAGE_ERROR,     // i32 code, i64 position, text
};
#define MESSAGE_VERSION 1
#define MESSAGE_MAX (64U << 20)  // bytes of a body
#define MESSAGE_AIM (256U << 10) // bytes of CHUNKS, when there are as many
#define WORKER_FD 3              // the worker's end of the socket

// Writes a message to the end of out: what is added between the two is its body.
size_t message_begin(enum message kind, struct buf *out);
void message_end(size_t start, struct buf *out);
void message_add_text(struct str s, struct buf *out);
// Takes a part from the front of a body; false when it is too short.
bool message_take(struct str *rest, void *ret, size_t len);
bool message_take_text(struct str *rest, struct str *ret);

enum message_end {
    MESSAGE_DONE,
    MESSAGE_GONE, // the other side has
    MESSAGE_LATE, // until_us has passed
    MESSAGE_WILD, // what came is no message
};
// Both wait until until_us of the monotonic clock, 0: for ever. The body is in `in` until the next
// call; memory is taken as bytes come, not as a length says.
enum message_end message_send(int fd, struct str bytes, int64_t until_us);
enum message_end message_receive(int fd, int64_t until_us, enum message *ret_kind, struct buf *in);

// A result on its way out.
struct chunks {
    struct rows *rows;
    const struct vec_chunk *chunk; // the one that is being written
    size_t first;                  // its row that comes next
    bool last;                     // all has been written
};
// Appends a message of the rows that come next.
MUST_CHECK enum err_code chunks_write(struct chunks *c, struct buf *out, struct err *err);

enum worker_state {
    WORKER_IDLE,
    WORKER_BUSY,
    WORKER_ENDING, // was killed; the keeper buries it
};

// Guarded by the pool's lock, but for what a busy worker's call uses: fd, folder, in.
struct worker {
    struct worker *next;
    enum worker_state state;
    pid_t pid;
    int fd;
    struct scratch folder;
    struct buf in;
    char *key; // NULL: nobody's yet
    size_t key_len;
    int64_t idle_since_us;
    int64_t statements;
    int64_t age; // the pool's when it was started
};

struct workers {
    struct workers_options options;
    char *cache;           // of the options
    pthread_mutex_t lock;  // guards everything below
    pthread_cond_t wake;   // for the keeper
    pthread_cond_t change; // for those who wait for a worker
    struct worker *all;
    int64_t count;    // of them
    int64_t waiting;  // who wait for one
    int64_t age;      // goes up with workers_forget
    int64_t failures; // of starting one
    struct err failure;
    bool stopping;
    struct workers_stats stats;
    pthread_t keeper;
};

// Takes an idle worker for the key, or waits for one: it is then busy.
MUST_CHECK enum err_code workers_take(struct workers *p, struct str key, int64_t wait_us,
                                      struct worker **ret, struct err *err);
// Gives a busy worker back. One that is not good is ended.
void workers_give(struct workers *p, struct worker *w, bool good);
// Starts a process; by the keeper only: it ends with the thread that started it.
MUST_CHECK enum err_code worker_spawn(const struct workers_options *o, struct worker **ret,
                                      struct err *err);
// The body of MESSAGE_ERROR as an error.
void worker_error(struct str body, struct err *err);
void worker_free(struct worker *w); // the process has been waited for; takes NULL
// With the pool's lock held.
void worker_kill(struct worker *w);

// The address space cannot be limited where a sanitizer has reserved most of it.
#if defined(__has_feature)
#define WORKER_FEATURE(name) __has_feature(name)
#else
#define WORKER_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    WORKER_FEATURE(address_sanitizer) || WORKER_FEATURE(thread_sanitizer)
#define WORKER_SPACE_LIMITED false
#else
#define WORKER_SPACE_LIMITED true
#endif
