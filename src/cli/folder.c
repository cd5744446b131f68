// The data folder on this machine.
#include "cli/folder.h"

#include <stdlib.h>
#include <sys/stat.h>

enum err_code folder_open(const struct args *a, struct store **ret, struct str *ret_uri,
                          struct err *err) {
    const char *env = getenv("TARN_DATA");
    const char *data = args_value(a, "data");
    struct stat st;
    if (data == NULL) {
        data = env != NULL && *env != '\0' ? env : "./tarn-data";
    }
    const char *primary = arena_printf(a->arena, "%s/primary", data).ptr;
    DEFER(freep) char *real = realpath(primary, NULL);
    if (real == NULL || stat(real, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return err_set(err, ERR_NOT_FOUND, "%s is no data folder of tarn: there is no %s", data,
                       primary);
    }
    if (ret_uri != NULL) {
        *ret_uri = arena_printf(a->arena, "file://%s", real);
    }
    return store_folder_open(primary, ret, err);
}
