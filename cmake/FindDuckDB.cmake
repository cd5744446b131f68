# Finds libduckdb and duckdb.h: in DUCKDB_ROOT (a variable or the environment's), else where tools/setup puts them.
#
# DUCKDB_ROOT may hold lib/ and include/, or both files side by side.
if(NOT DUCKDB_ROOT)
    set(DUCKDB_ROOT $ENV{DUCKDB_ROOT})
endif()
if(NOT DUCKDB_ROOT)
    set(DUCKDB_ROOT ${CMAKE_SOURCE_DIR}/build/deps/duckdb)
endif()

if(NOT DUCKDB_ROOT STREQUAL "${DUCKDB_ROOT_SEARCHED}")
    unset(DUCKDB_LIBRARY CACHE)
    unset(DUCKDB_INCLUDE_DIR CACHE)
    set(DUCKDB_ROOT_SEARCHED ${DUCKDB_ROOT} CACHE INTERNAL "Where libduckdb was looked for")
endif()
find_library(DUCKDB_LIBRARY duckdb PATHS ${DUCKDB_ROOT} PATH_SUFFIXES lib lib64 "" NO_DEFAULT_PATH)
find_path(DUCKDB_INCLUDE_DIR duckdb.h PATHS ${DUCKDB_ROOT} PATH_SUFFIXES include "" NO_DEFAULT_PATH)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DuckDB
    REQUIRED_VARS DUCKDB_LIBRARY DUCKDB_INCLUDE_DIR
    REASON_FAILURE_MESSAGE
    "Run \"tools/setup build\", or set DUCKDB_ROOT to a folder with libduckdb.so and duckdb.h")

# An imported target's headers are system headers: our warnings do not apply to them.
if(DuckDB_FOUND AND NOT TARGET DuckDB::DuckDB)
    add_library(DuckDB::DuckDB SHARED IMPORTED)
    set_target_properties(DuckDB::DuckDB PROPERTIES
        IMPORTED_LOCATION ${DUCKDB_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${DUCKDB_INCLUDE_DIR})
endif()
