// Version: what this build is.
#pragma once

const char *version_text(void);   // "0.1.0"
const char *version_commit(void); // 12 digits of the commit, or "unknown"
