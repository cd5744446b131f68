# Makes tarn_version.h: TARN_VERSION from project(), TARN_COMMIT from git.
#
# The header is looked at in every build but written only when it changes, so that a commit
# rebuilds the one file that includes it.
set(TARN_GENERATED_DIR ${CMAKE_BINARY_DIR}/generated)
find_package(Git QUIET)
add_custom_target(tarn_version
    COMMAND ${CMAKE_COMMAND}
        -D SOURCE_DIR=${CMAKE_SOURCE_DIR} -D VERSION=${PROJECT_VERSION} -D GIT=${GIT_EXECUTABLE}
        -D OUTPUT=${TARN_GENERATED_DIR}/tarn_version.h
        -P ${CMAKE_SOURCE_DIR}/cmake/WriteVersion.cmake
    BYPRODUCTS ${TARN_GENERATED_DIR}/tarn_version.h
    COMMENT "Looking at the version" VERBATIM)
