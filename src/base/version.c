// Version: the one file that is compiled again for each commit.
#include "base/version.h"

#include "tarn_version.h"

const char *version_text(void) {
    return TARN_VERSION;
}

const char *version_commit(void) {
    return TARN_COMMIT;
}
