// The jail's system calls: a list of those that are allowed; the others fail with EPERM.
//
// What a path names is not seen here, only numbers are: which files can be opened is Landlock's
// matter, and here that they are opened for reading. Names can be asked for (stat), anywhere.
#define _GNU_SOURCE // CLONE_*, O_PATH, O_TMPFILE

#include "worker/jail_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "worker/worker_int.h"

// Whatever their arguments are.
static const int plain[] = {
    // memory
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(membarrier),
    // threads
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
    SCMP_SYS(getcpu), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(exit), SCMP_SYS(exit_group),
    // signals that are its own
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    // time
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
    // files that are open
    SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(readv), SCMP_SYS(preadv), SCMP_SYS(lseek),
    SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(fadvise64), SCMP_SYS(poll), SCMP_SYS(ppoll),
    // names
    SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(access),
    SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    // the rest
    SCMP_SYS(getrandom), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrusage), SCMP_SYS(getrlimit)};

// If the argument is as it says: (value & mask) == wanted.
struct filtered {
    int call;
    unsigned arg;
    uint64_t mask, wanted;
};

// Whose forms are tried first by the C library, which then takes the ones above.
static const int absent[] = {SCMP_SYS(clone3), SCMP_SYS(openat2)};

#define ALL_BITS UINT64_MAX
#define OPEN_BITS                                                                                  \
    ((uint64_t)(O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | O_DIRECTORY | O_PATH | O_TMPFILE))
#define THREAD_BITS ((uint64_t)(CLONE_THREAD | CLONE_VM | CLONE_SIGHAND))
#define SPACE_BITS                                                                                 \
    ((uint64_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |      \
                CLONE_NEWPID | CLONE_NEWNET | CLONE_PTRACE | CLONE_VFORK))

static int allow_filtered(scmp_filter_ctx c, const struct filtered *f) {
    return seccomp_rule_add(c, SCMP_ACT_ALLOW, f->call, 1,
                            SCMP_CMP(f->arg, SCMP_CMP_MASKED_EQ, f->mask, f->wanted));
}

static int allow_all_filtered(scmp_filter_ctx c) {
    const struct filtered all[] = {
        {SCMP_SYS(open), 1, OPEN_BITS, O_RDONLY},
        {SCMP_SYS(openat), 2, OPEN_BITS, O_RDONLY},
        {SCMP_SYS(clone), 0, THREAD_BITS | SPACE_BITS, THREAD_BITS},
        {SCMP_SYS(mmap), 2, PROT_EXEC, 0},
        {SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
        {SCMP_SYS(fcntl), 1, ALL_BITS, F_GETFD},
        {SCMP_SYS(fcntl), 1, ALL_BITS, F_GETFL},
        {SCMP_SYS(prctl), 0, ALL_BITS, PR_SET_NAME},
        {SCMP_SYS(seccomp), 0, ALL_BITS, SECCOMP_SET_MODE_FILTER}, // until jail_seal
        {SCMP_SYS(tgkill), 0, ALL_BITS, (uint64_t)getpid()},
        {SCMP_SYS(prlimit64), 2, ALL_BITS, 0}, // to read them
        {SCMP_SYS(sendto), 0, ALL_BITS, WORKER_FD},
        {SCMP_SYS(recvfrom), 0, ALL_BITS, WORKER_FD},
        {SCMP_SYS(write), 0, ALL_BITS, STDOUT_FILENO},
        {SCMP_SYS(write), 0, ALL_BITS, STDERR_FILENO},
    };
    int failed = 0;
    for (size_t i = 0; i < ARRAY_LEN(all) && failed == 0; i++) {
        failed = allow_filtered(c, &all[i]);
    }
    return failed;
}

static int fill(scmp_filter_ctx c) {
    int failed = allow_all_filtered(c);
    for (size_t i = 0; i < ARRAY_LEN(plain) && failed == 0; i++) {
        failed = seccomp_rule_add(c, SCMP_ACT_ALLOW, plain[i], 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(absent) && failed == 0; i++) {
        failed = seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), absent[i], 0);
    }
    return failed == 0 ? seccomp_load(c) : failed;
}

static void filterp(scmp_filter_ctx *c) {
    if (*c) {
        seccomp_release(*c);
    }
}

enum err_code jail_calls_enter(struct err *err) {
    DEFER(filterp) scmp_filter_ctx c = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!c) {
        return err_set(err, ERR_INTERNAL, "seccomp has no memory");
    }
    const int failed = fill(c);
    if (failed != 0) {
        return err_set(err, ERR_UNSUPPORTED, "cannot restrict the system calls: %s",
                       strerror(-failed));
    }
    return ERR_OK;
}

// A second filter beside the first: of two answers the stricter holds.
static int seal(scmp_filter_ctx c) {
    int failed = seccomp_attr_set(c, SCMP_FLTATR_CTL_TSYNC, 1);
    failed = failed != 0 ? failed : seccomp_attr_set(c, SCMP_FLTATR_CTL_NNP, 0); // is set already
    failed = failed != 0 ? failed : seccomp_rule_add(c, SCMP_ACT_ERRNO(EAGAIN), SCMP_SYS(clone), 0);
    failed =
        failed != 0 ? failed : seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(seccomp), 0);
    return failed != 0 ? failed : seccomp_load(c);
}

enum err_code jail_seal(struct err *err) {
    DEFER(filterp) scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
    const int failed = c ? seal(c) : -ENOMEM;
    if (failed != 0) {
        return err_set(err, ERR_UNSUPPORTED, "cannot keep the process from starting threads: %s",
                       strerror(-failed));
    }
    return ERR_OK;
}
