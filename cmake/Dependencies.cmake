# The libraries that Tarn stands on; src/CMakeLists.txt says which floor may use which.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(DuckDB REQUIRED)

# Makes the target PkgConfig::<name>.
macro(tarn_library name package)
    pkg_check_modules(${name} QUIET IMPORTED_TARGET ${package})
    if(NOT ${name}_FOUND)
        message(FATAL_ERROR "${package} was not found; \"tools/setup build\" installs what is missing")
    endif()
endmacro()

tarn_library(jansson jansson)
tarn_library(crypto libcrypto)
tarn_library(inih inih)
tarn_library(seccomp libseccomp)
tarn_library(zlib zlib)
tarn_library(zstd libzstd)
tarn_library(snappy snappy)
tarn_library(microhttpd libmicrohttpd)
tarn_library(curl libcurl)

# Only the unit tests need it: without it they are left out.
pkg_check_modules(cmocka QUIET IMPORTED_TARGET cmocka)
