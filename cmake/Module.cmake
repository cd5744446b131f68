# tarn_module(name USES floors below... LIBS outside libraries... EXPORTS outside libraries...)
#
# Makes the library tarn_<name> of src/<name>/*.c and *.cc, and for each <file>_test.c one cmocka program
# with one ctest entry, unit.<name>.<file>. What a floor USES, its users may use too. The headers of LIBS stay
# inside the module; those of EXPORTS are seen by its users, since a header of the module includes them.
# A folder without sources makes nothing.
function(tarn_module name)
    cmake_parse_arguments(PARSE_ARGV 1 module "" "" "USES;LIBS;EXPORTS")
    set(folder ${CMAKE_SOURCE_DIR}/src/${name})
    file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.c ${folder}/*.cc)
    file(GLOB tests CONFIGURE_DEPENDS ${folder}/*_test.c)
    if(tests)
        list(REMOVE_ITEM sources ${tests})
    endif()
    if(NOT sources)
        return()
    endif()

    set(floors "")
    foreach(floor ${module_USES})
        if(TARGET tarn_${floor})
            list(APPEND floors tarn_${floor})
        endif()
    endforeach()

    add_library(tarn_${name} STATIC ${sources})
    target_include_directories(tarn_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(tarn_${name}
        PUBLIC ${floors} ${module_EXPORTS} Threads::Threads
        PRIVATE tarn_flags ${module_LIBS})

    foreach(test ${tests})
        tarn_unit_test(${name} ${test} ${module_LIBS})
    endforeach()
endfunction()

# One cmocka program and its ctest entry; it sees the outside libraries that its module sees.
function(tarn_unit_test module source)
    if(NOT cmocka_FOUND)
        return()
    endif()
    get_filename_component(file ${source} NAME_WE)
    set(program unit_${module}_${file})
    add_executable(${program} ${source})
    target_link_libraries(${program} PRIVATE tarn_${module} tarn_flags PkgConfig::cmocka ${ARGN})

    string(REGEX REPLACE "_test$" "" file ${file})
    add_test(NAME unit.${module}.${file} COMMAND ${program} WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
    set_tests_properties(unit.${module}.${file} PROPERTIES
        LABELS unit TIMEOUT 900 ENVIRONMENT "${TARN_TEST_ENVIRONMENT}")
endfunction()

# What a sanitizer build needs to know when it runs.
set(TARN_TEST_ENVIRONMENT "")
if(TARN_SANITIZE STREQUAL "address")
    list(APPEND TARN_TEST_ENVIRONMENT
        "ASAN_OPTIONS=detect_stack_use_after_return=1"
        "UBSAN_OPTIONS=print_stacktrace=1")
elseif(TARN_SANITIZE STREQUAL "thread")
    list(APPEND TARN_TEST_ENVIRONMENT
        "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tools/suppress/tsan.supp:halt_on_error=0")
endif()
