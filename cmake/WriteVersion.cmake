# Run by Version.cmake in every build: writes tarn_version.h if its text has changed.
set(commit "unknown")
if(GIT AND EXISTS ${SOURCE_DIR}/.git)
    execute_process(COMMAND ${GIT} rev-parse --short=12 HEAD
        WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE head RESULT_VARIABLE failed
        OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(NOT failed)
        set(commit ${head})
    endif()
endif()
set(text "// What this build is: the version and the commit that it was made from.\n#pragma once\n\n")
string(APPEND text "#define TARN_VERSION \"${VERSION}\"\n#define TARN_COMMIT \"${commit}\"\n")
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "${text}" @ONLY)
