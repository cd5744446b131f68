// Language helpers: cleanup at end of scope, must-check results, checks that ship.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Runs fn(&variable) when the variable leaves its scope. The variable must be initialised where
// it is declared; scopes run their DEFERs backwards.
#define DEFER(fn) __attribute__((cleanup(fn)))

// A result that may not be ignored; write (void)f() where it is meant. gcc and clang each have
// only one spelling that both warns and accepts (void).
#if defined(__clang__)
#define MUST_CHECK __attribute__((warn_unused_result))
#else
#define MUST_CHECK [[nodiscard]]
#endif

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

// Moves a pointer out of a DEFER variable: the variable becomes NULL.
#define TAKE(p)                                                                                    \
    ({                                                                                             \
        typeof(p) *take_p_ = &(p);                                                                 \
        typeof(p) take_v_ = *take_p_;                                                              \
        *take_p_ = NULL;                                                                           \
        take_v_;                                                                                   \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

// A bug in this program, never bad input: prints where and aborts, in release too.
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            check_failed(#cond, __FILE__, __LINE__);                                               \
        }                                                                                          \
    } while (0)

// Spelt as an attribute, since cppcheck does not know _Noreturn.
void check_failed(const char *cond, const char *file, int line) __attribute__((noreturn));

// Memory from the heap that is there: out of memory aborts. Sizes that a client chooses are
// bounded before they come here.
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *ptr, size_t size);
char *xstrdup(const char *s);
// free(*p) for DEFER: DEFER(freep) char *s = ...
void freep(void *p);
// close(*fd) when it is >= 0, for DEFER.
void closep(int *fd);
