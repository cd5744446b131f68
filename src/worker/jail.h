// The jail: what a process gives up for good, so that what it runs can do no harm.
//
// In this order, which matters: the engine is open with one thread, and has started none (Landlock
// holds for the calling thread and those that it starts); then jail_enter; then more threads.
// No new privileges; Landlock: files below one folder can be read, nothing else can be opened,
// made, changed or run; seccomp: an allow-list of system calls, in which there is no socket, exec,
// ptrace, unlink, rename or fork; limits: address space, files of size 0, no core. When the threads
// are there: jail_seal, and there are no more of them, which would be the host's.
//
// Threads: called once, by the only thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct jail {
    int folder;          // descriptor of the only folder that can be read
    int64_t space_bytes; // of address space beyond what is mapped now; 0: no limit
    bool weak;           // go on where the kernel has no Landlock
};

// The version of Landlock that the kernel has; 0: none.
int jail_landlock_version(void);
// ERR_UNSUPPORTED: no Landlock, and not weak. After an error the process must end.
MUST_CHECK enum err_code jail_enter(const struct jail *j, struct err *err);
// In the jail, once: from here on no thread can be started (EAGAIN). Holds for all that there are.
MUST_CHECK enum err_code jail_seal(struct err *err);
