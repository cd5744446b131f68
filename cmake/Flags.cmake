# Language, warnings, hardening and sanitizers: everything that all our targets are compiled with.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Checks stay on in production, so no build type defines NDEBUG.
foreach(language C CXX)
    set(CMAKE_${language}_FLAGS_RELWITHDEBINFO "-O2 -g")
    set(CMAKE_${language}_FLAGS_RELEASE "-O2")
endforeach()

add_library(tarn_flags INTERFACE)
target_compile_options(tarn_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wvla -Wformat=2 -Wundef -Wcast-qual -Wpointer-arith
    -Wwrite-strings -Wimplicit-fallthrough
    -fPIE
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
    $<$<BOOL:${TARN_WERROR}>:-Werror>)

if(TARN_SANITIZE STREQUAL "address")
    set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(TARN_SANITIZE STREQUAL "thread")
    set(sanitize -fsanitize=thread -fno-omit-frame-pointer)
elseif(TARN_SANITIZE STREQUAL "")
    # The sanitizers bring checks of their own and do not go with the fortified libc calls.
    target_compile_options(tarn_flags INTERFACE -fstack-protector-strong
        $<$<CONFIG:RelWithDebInfo,Release>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
else()
    message(FATAL_ERROR "TARN_SANITIZE is empty, address or thread, not \"${TARN_SANITIZE}\"")
endif()
target_compile_options(tarn_flags INTERFACE ${sanitize})
target_link_options(tarn_flags INTERFACE ${sanitize} -pie -Wl,-z,relro,-z,now)
