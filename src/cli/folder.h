// The data folder on this machine, for commands that look into it without a server.
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "cli/args.h"
#include "store/store.h"

// Opens the primary bucket of the folder of --data, else of TARN_DATA, else of ./tarn-data. The
// URI lives in the arguments' arena; it may be NULL. ERR_NOT_FOUND when there is no such folder.
MUST_CHECK enum err_code folder_open(const struct args *a, struct store **ret, struct str *ret_uri,
                                     struct err *err);
