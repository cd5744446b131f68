// The jail, asked directly: which system calls a process in it can still make, and on what.
#define _GNU_SOURCE // syscall numbers, CLONE_*, O_PATH, O_TMPFILE

#include "worker/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/worker_int.h"

static char folder[64]; // the one that is allowed; holds "in"
static char other[64];  // holds "out"
static pid_t parent;

static void write_file(const char *in, const char *name) {
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", in, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs("hello", f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static bool failed_with(int64_t result, int wanted) {
    return result < 0 && errno == wanted;
}

static bool refused(int64_t result) {
    return failed_with(result, EPERM) || failed_with(result, EACCES);
}

static bool cannot_open(const char *path, int flags) {
    return refused(open(path, flags, 0600));
}

static bool reads_its_folder(void) {
    char text[8] = "";
    const int fd = open("in", O_RDONLY);
    return fd >= 0 && read(fd, text, 5) == 5 && strcmp(text, "hello") == 0;
}

static bool reads_nothing_else(void) {
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/out", other);
    return cannot_open(path, O_RDONLY) && cannot_open("/etc/passwd", O_RDONLY) &&
           cannot_open("/proc/self/environ", O_RDONLY) && cannot_open("/proc/self/mem", O_RDONLY) &&
           cannot_open("link", O_RDONLY) && cannot_open("../", O_RDONLY);
}

static bool lists_nothing(void) {
    return cannot_open(".", O_RDONLY | O_DIRECTORY) && cannot_open(".", O_RDONLY) &&
           cannot_open("/", O_PATH) && cannot_open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
}

static bool writes_nothing(void) {
    return cannot_open("in", O_WRONLY) && cannot_open("in", O_RDWR) &&
           cannot_open("in", O_RDONLY | O_TRUNC) && cannot_open("new", O_WRONLY | O_CREAT) &&
           cannot_open("new", O_RDONLY | O_CREAT) && cannot_open(".", O_TMPFILE | O_RDWR) &&
           refused(truncate("in", 0)) && refused(syscall(SYS_creat, "new", 0600));
}

static bool opens_by_no_other_way(void) {
    uint64_t how[3] = {0};
    return failed_with(syscall(SYS_openat2, AT_FDCWD, "in", how, sizeof(how)), ENOSYS) &&
           refused(syscall(SYS_open_by_handle_at, -1, NULL, 0)) &&
           refused(syscall(SYS_memfd_create, "x", 0));
}

static bool changes_no_names(void) {
    return refused(unlink("in")) && refused(rename("in", "on")) && refused(link("in", "on")) &&
           refused(symlink("in", "on")) && refused(mkdir("on", 0700)) && refused(rmdir(".")) &&
           refused(chmod("in", 0777)) && refused(chown("in", 1, 1)) && refused(chdir("/")) &&
           refused(mknod("on", S_IFIFO | 0600, 0)) &&
           refused(syscall(SYS_utimensat, 0, "in", 0, 0));
}

static bool has_no_sockets(void) {
    const struct sockaddr nowhere = {0};
    struct msghdr none = {0};
    int pair[2];
    return refused(socket(AF_INET, SOCK_STREAM, 0)) && refused(socket(AF_UNIX, SOCK_DGRAM, 0)) &&
           refused(socket(AF_NETLINK, SOCK_RAW, 0)) &&
           refused(socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) && refused(pipe(pair)) &&
           refused(connect(WORKER_FD, &nowhere, sizeof(nowhere))) &&
           refused(sendmsg(WORKER_FD, &none, 0)) && refused(recvmsg(WORKER_FD, &none, 0));
}

static bool talks_to_its_server_only(void) {
    char byte = 'x';
    return send(WORKER_FD, &byte, 1, 0) == 1 && refused(send(WORKER_FD + 1, &byte, 1, 0)) &&
           refused(write(WORKER_FD, &byte, 1)) && refused(write(WORKER_FD + 1, &byte, 1));
}

static bool starts_no_program(void) {
    char *none[] = {NULL};
    return refused(execve("/bin/true", none, none)) && refused(execve("in", none, none)) &&
           refused(syscall(SYS_execveat, -1, "/bin/true", none, none, 0));
}

static bool has_no_children(void) {
    return refused(fork()) && refused(syscall(SYS_vfork)) &&
           refused(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL)) &&
           refused(syscall(SYS_clone, CLONE_VM | SIGCHLD, NULL, NULL, NULL, NULL)) &&
           failed_with(syscall(SYS_clone3, NULL, 0), ENOSYS) && refused(unshare(CLONE_NEWUSER)) &&
           refused(setns(0, 0));
}

static void *nothing(void *arg) {
    return arg;
}

static bool has_threads(void) {
    pthread_t thread;
    return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

static bool has_no_more_threads_when_sealed(void) {
    struct err err = ERR_NONE;
    pthread_t thread;
    return jail_seal(&err) == ERR_OK && pthread_create(&thread, NULL, nothing, NULL) == EAGAIN &&
           failed_with(
               syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, NULL, NULL, NULL, NULL),
               EAGAIN) &&
           reads_its_folder() && jail_seal(&err) == ERR_UNSUPPORTED;
}

static bool signals_nobody(void) {
    return refused(kill(parent, 0)) && refused(kill(getpid(), 0)) && refused(kill(-1, 0)) &&
           refused(syscall(SYS_tkill, parent, 0)) &&
           refused(syscall(SYS_tgkill, parent, parent, 0)) &&
           syscall(SYS_tgkill, getpid(), getpid(), 0) == 0 &&
           refused(syscall(SYS_pidfd_open, parent, 0));
}

static bool looks_into_nobody(void) {
    return refused(ptrace(PTRACE_ATTACH, parent, NULL, NULL)) &&
           refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL)) &&
           refused(syscall(SYS_process_vm_readv, parent, NULL, 0, NULL, 0, 0)) &&
           refused(syscall(SYS_process_vm_writev, parent, NULL, 0, NULL, 0, 0)) &&
           refused(syscall(SYS_kcmp, parent, parent, 0, 0, 0)) &&
           refused(syscall(SYS_pidfd_getfd, 0, 0, 0));
}

static bool asks_the_kernel_for_nothing_new(void) {
    return refused(syscall(SYS_bpf, 0, NULL, 0)) && refused(syscall(SYS_io_uring_setup, 1, NULL)) &&
           refused(syscall(SYS_keyctl, 0, 0, 0, 0, 0)) &&
           refused(syscall(SYS_add_key, 0, 0, 0, 0, 0)) &&
           refused(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0)) &&
           refused(syscall(SYS_userfaultfd, 0)) && refused(syscall(SYS_mount, 0, 0, 0, 0, 0)) &&
           refused(syscall(SYS_shmget, 0, 4096, 0)) && refused(syscall(SYS_ioctl, 0, 0, 0)) &&
           refused(syscall(SYS_fcntl, 0, F_SETFL, O_ASYNC)) &&
           refused(syscall(SYS_seccomp, 0, 0, NULL)) && refused(syscall(SYS_arch_prctl, 0, 0));
}

// The error of mapping that much with that protection; 0: it is mapped.
static int map_error(size_t size, int protection) {
    void *at = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const int error = errno;
    if (at == MAP_FAILED) {
        return error;
    }
    (void)munmap(at, size);
    return 0;
}

static bool makes_no_code(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page != MAP_FAILED && refused(mprotect(page, 4096, PROT_READ | PROT_EXEC)) &&
           map_error(4096, PROT_READ | PROT_EXEC) == EPERM && map_error(4096, PROT_READ) == 0;
}

static bool keeps_its_limits(void) {
    const struct rlimit most = {1 << 20, 1 << 20};
    struct rlimit core;
    return refused(setrlimit(RLIMIT_FSIZE, &most)) && getrlimit(RLIMIT_CORE, &core) == 0 &&
           core.rlim_max == 0 && refused(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)) &&
           refused(prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)) && refused(setuid(1)) &&
           refused(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)) &&
           refused(syscall(SYS_prlimit64, parent, RLIMIT_CORE, &most, 0));
}

// It was given 64 MiB.
static bool has_no_more_space(void) {
    return !WORKER_SPACE_LIMITED ||
           (map_error(256U << 20, PROT_READ) == ENOMEM && map_error(16U << 20, PROT_READ) == 0);
}

static const struct probe {
    const char *name;
    bool (*holds)(void);
} probes[] = {
    {"reads_its_folder", reads_its_folder},
    {"reads_nothing_else", reads_nothing_else},
    {"lists_nothing", lists_nothing},
    {"writes_nothing", writes_nothing},
    {"opens_by_no_other_way", opens_by_no_other_way},
    {"changes_no_names", changes_no_names},
    {"has_no_sockets", has_no_sockets},
    {"talks_to_its_server_only", talks_to_its_server_only},
    {"starts_no_program", starts_no_program},
    {"has_no_children", has_no_children},
    {"has_threads", has_threads},
    {"has_no_more_threads_when_sealed", has_no_more_threads_when_sealed},
    {"signals_nobody", signals_nobody},
    {"looks_into_nobody", looks_into_nobody},
    {"asks_the_kernel_for_nothing_new", asks_the_kernel_for_nothing_new},
    {"makes_no_code", makes_no_code},
    {"keeps_its_limits", keeps_its_limits},
    {"has_no_more_space", has_no_more_space},
};

enum { ENTERED = 100, NOT_ENTERED, NO_SOCKET };

static struct jail jail_of_folder(void) {
    return (struct jail){.folder = open(folder, O_PATH | O_DIRECTORY),
                         .space_bytes = WORKER_SPACE_LIMITED ? INT64_C(64) << 20 : 0};
}

// In a process of its own, with a socket where a worker has one, and another one beside it.
static int enter_and(bool (*holds)(void)) {
    int status = 0;
    const pid_t pid = fork();
    if (pid == 0) {
        struct err err = ERR_NONE;
        int ends[2];
        if (chdir(folder) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 ||
            fcntl(ends[0], F_DUPFD, 20) < 0 || dup2(ends[0], WORKER_FD) < 0 ||
            dup2(ends[1], WORKER_FD + 1) < 0) {
            _exit(NO_SOCKET);
        }
        const struct jail j = jail_of_folder();
        if (jail_enter(&j, &err) != ERR_OK) {
            (void)fprintf(stderr, "%s\n", err.msg);
            _exit(NOT_ENTERED);
        }
        _exit(holds() ? ENTERED : 0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_process_in_jail(void **state) {
    (void)state;
    if (jail_landlock_version() == 0) {
        skip();
    }
    for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
        if (enter_and(probes[i].holds) != ENTERED) {
            fail_msg("%s", probes[i].name);
        }
    }
}

// Each probe sees what it looks for: outside of the jail none of them but these holds.
static void outside_the_calls_succeed(void **state) {
    (void)state;
    assert_false(cannot_open("/etc/passwd", O_RDONLY));
    assert_false(cannot_open("/proc/self/environ", O_RDONLY));
    assert_false(cannot_open("/", O_PATH));
    assert_false(refused(kill(getpid(), 0)));
    assert_false(refused(syscall(SYS_memfd_create, "x", 0)));
    assert_false(refused(socket(AF_UNIX, SOCK_DGRAM, 0)));
}

static void *enter_in_thread(void *arg) {
    const struct jail j = jail_of_folder();
    (void)jail_enter(&j, arg);
    return NULL;
}

static void a_process_with_threads_cannot_enter(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, enter_in_thread, &err), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(err.code, jail_landlock_version() == 0 ? ERR_UNSUPPORTED : ERR_INTERNAL);
    assert_false(cannot_open("/etc/passwd", O_RDONLY));
}

static void remove_all(void) {
    char path[128];
    static const struct {
        const char *in, *name;
    } files[] = {{folder, "in"}, {folder, "link"}, {other, "out"}};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", files[i].in, files[i].name);
        assert_int_equal(unlink(path), 0); // nobody else did
    }
    assert_int_equal(rmdir(folder), 0); // nor made more
    assert_int_equal(rmdir(other), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_in_jail),
        cmocka_unit_test(outside_the_calls_succeed),
        cmocka_unit_test(a_process_with_threads_cannot_enter),
    };
    char path[128];
    char target[128];
    parent = getpid();
    (void)snprintf(folder, sizeof(folder), "/tmp/tarn-jail-XXXXXX");
    (void)snprintf(other, sizeof(other), "/tmp/tarn-other-XXXXXX");
    if (!mkdtemp(folder) || !mkdtemp(other)) {
        return 1;
    }
    write_file(folder, "in");
    write_file(other, "out");
    (void)snprintf(path, sizeof(path), "%s/link", folder);
    (void)snprintf(target, sizeof(target), "%s/out", other);
    if (symlink(target, path) != 0) {
        return 1;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_all();
    return failed;
}
