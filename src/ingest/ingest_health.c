// Health of ingest: can a file be taken in right now?

#include <sys/statvfs.h>
#include <unistd.h>

#include "ingest/ingest_int.h"

#define FREE_BYTES_MIN (64ULL << 20)

enum err_code ingest_health(struct ingest *i, struct err *err) {
    struct statvfs fs;
    if (access(i->spool.ptr, W_OK | X_OK) != 0 || statvfs(i->spool.ptr, &fs) != 0) {
        return err_errno(err, "the spool folder cannot be used");
    }
    if ((unsigned long long)fs.f_bavail * fs.f_frsize < FREE_BYTES_MIN) {
        return err_set(err, ERR_NO_SPACE, "the spool folder has less than 64 MiB free");
    }
    return ERR_OK;
}
