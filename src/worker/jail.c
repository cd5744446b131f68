// The jail: limits, no new privileges, Landlock, and seccomp, one after the other.
#define _GNU_SOURCE // struct rlimit's RLIMIT_*, O_PATH

#include "worker/jail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"
#include "worker/jail_int.h"

enum { FILES_MAX = 4096 };

// What the kernels' headers have added since: all rights that version 7 knows.
struct ruleset {
    uint64_t fs, net, scoped;
};
enum {
    FS_TRUNCATE = 1 << 14,  // version 3
    FS_IOCTL_DEV = 1 << 15, // version 5
    FS_FIRST = (1 << 13) - 1,
    NET_BIND_CONNECT = 3, // version 4: TCP
    SCOPE_ALL = 3,        // version 6: abstract sockets, signals
};

int jail_landlock_version(void) {
    const int64_t version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version > 0 ? (int)version : 0;
}

static struct ruleset rights_of(int version) {
    struct ruleset r = {.fs = FS_FIRST};
    if (version >= 2) {
        r.fs |= LANDLOCK_ACCESS_FS_REFER;
    }
    if (version >= 3) {
        r.fs |= FS_TRUNCATE;
    }
    if (version >= 4) {
        r.net = NET_BIND_CONNECT;
    }
    if (version >= 5) {
        r.fs |= FS_IOCTL_DEV;
    }
    if (version >= 6) {
        r.scoped = SCOPE_ALL;
    }
    return r;
}

// An older kernel takes a longer struct if what it does not know of is zero.
static enum err_code enter_landlock(const struct jail *j, int version, struct err *err) {
    const struct ruleset rights = rights_of(version);
    const struct landlock_path_beneath_attr folder = {
        .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE, .parent_fd = j->folder};
    DEFER(closep)
    int rules = (int)syscall(SYS_landlock_create_ruleset, &rights, sizeof(rights), 0);
    if (rules < 0) {
        return err_errno(err, "cannot make rules of Landlock");
    }
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &folder, 0) != 0) {
        return err_errno(err, "cannot add the folder to the rules of Landlock");
    }
    if (syscall(SYS_landlock_restrict_self, rules, 0) != 0) {
        return err_errno(err, "cannot enter Landlock");
    }
    return ERR_OK;
}

// Landlock holds for the thread that enters it: another one would stay outside.
static enum err_code check_alone(struct err *err) {
    DIR *tasks = opendir("/proc/self/task");
    size_t count = 0;
    if (!tasks) {
        return err_errno(err, "cannot see the threads of this process");
    }
    for (const struct dirent *e = readdir(tasks); e; e = readdir(tasks)) {
        count += e->d_name[0] != '.' ? 1U : 0U;
    }
    (void)closedir(tasks);
    if (count != 1) {
        return err_set(err, ERR_INTERNAL, "a process with %zu threads cannot enter the jail",
                       count);
    }
    return ERR_OK;
}

static enum err_code mapped_bytes(int64_t *ret, struct err *err) {
    char text[64] = "";
    DEFER(closep) int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const ssize_t len = fd >= 0 ? read(fd, text, sizeof(text)) : 0;
    struct str rest = {text, len > 0 ? (size_t)len : 0};
    struct str pages = STR_NONE;
    int64_t count = 0;
    if (!str_cut(&rest, ' ', &pages) || !str_to_i64(pages, &count)) {
        return err_set(err, ERR_INTERNAL, "cannot see how much memory this process has mapped");
    }
    *ret = count * (int64_t)sysconf(_SC_PAGESIZE);
    return ERR_OK;
}

// As low as that, or as low as it is already.
static enum err_code limit(int what, uint64_t most, struct err *err) {
    struct rlimit l;
    if (getrlimit((__rlimit_resource_t)what, &l) != 0) {
        return err_errno(err, "cannot read limit %d", what);
    }
    const rlim_t value = MIN(l.rlim_max, most);
    l = (struct rlimit){value, value};
    if (setrlimit((__rlimit_resource_t)what, &l) != 0) {
        return err_errno(err, "cannot set limit %d", what);
    }
    return ERR_OK;
}

static enum err_code enter_limits(const struct jail *j, struct err *err) {
    int64_t mapped = 0;
    TRY(mapped_bytes(&mapped, err));
    TRY(limit(RLIMIT_CORE, 0, err));
    TRY(limit(RLIMIT_FSIZE, 0, err));
    TRY(limit(RLIMIT_NOFILE, FILES_MAX, err));
    TRY(limit(RLIMIT_MSGQUEUE, 0, err));
    TRY(limit(RLIMIT_MEMLOCK, 0, err));
    return j->space_bytes > 0 ? limit(RLIMIT_AS, (uint64_t)(mapped + j->space_bytes), err) : ERR_OK;
}

enum err_code jail_enter(const struct jail *j, struct err *err) {
    const int version = jail_landlock_version();
    if (version == 0 && !j->weak) {
        return err_set(err, ERR_UNSUPPORTED,
                       "this kernel has no Landlock: workers cannot be kept from files");
    }
    TRY(check_alone(err));
    TRY(enter_limits(j, err));
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return err_errno(err, "cannot give up privileges");
    }
    if (version > 0) {
        TRY(enter_landlock(j, version, err));
    }
    return jail_calls_enter(err);
}
