# The ctest entries that are not unit tests: the command line, black box, style, and the sanitizer builds.
set(python /usr/bin/python3)

# blackbox.<file>: requests and expectations of tests/test_<file>.py against this build's program.
if(TARGET tarn)
    add_test(NAME cli.help COMMAND tarn --help)
    set_tests_properties(cli.help PROPERTIES
        LABELS blackbox TIMEOUT 30 ENVIRONMENT "${TARN_TEST_ENVIRONMENT}")

    file(GLOB tests CONFIGURE_DEPENDS tests/test_*.py)
    list(REMOVE_ITEM tests ${CMAKE_SOURCE_DIR}/tests/test_tidy.py)
    foreach(test ${tests})
        get_filename_component(file ${test} NAME_WE)
        string(REGEX REPLACE "^test_" "" file ${file})
        add_test(NAME blackbox.${file}
            COMMAND ${python} -m pytest -q -p no:cacheprovider ${test}
            WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/tests)
        set_tests_properties(blackbox.${file} PROPERTIES
            LABELS blackbox TIMEOUT 600
            ENVIRONMENT "TARN_BIN=$<TARGET_FILE:tarn>;TARN_NODE_MODULES=${CMAKE_SOURCE_DIR}/build/deps/node/node_modules;TARN_DEMO_DATA=${CMAKE_SOURCE_DIR}/build/deps/vega-datasets/data;TARN_SANITIZE=${TARN_SANITIZE};PYTHONDONTWRITEBYTECODE=1;${TARN_TEST_ENVIRONMENT}")
    endforeach()
endif()

if(NOT TARN_CHECKS)
    return()
endif()

function(tarn_check name timeout)
    add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    string(REGEX REPLACE "\\..*" "" label ${name})
    set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${timeout})
endfunction()

tarn_check(style.format 120 tools/lint format)
tarn_check(style.tidy 120 tools/lint tidy)
tarn_check(style.tidy_test 120
    ${python} -m pytest -q -p no:cacheprovider tests/test_tidy.py)
set_tests_properties(style.tidy_test PROPERTIES ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
tarn_check(style.cppcheck 600 tools/lint cppcheck)
tarn_check(style.clang_tidy 1200 tools/lint clang-tidy)

# These two keep all cores busy by themselves: beside a black-box test they would disturb its timing.
cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
set_tests_properties(style.cppcheck style.clang_tidy PROPERTIES PROCESSORS ${cores})

# The other builds have unit and black-box tests of their own; here each is one entry. A sanitizer's
# shadow memory wants the plain address layout, which setarch gives where the kernel lets it.
find_program(setarch setarch)
execute_process(COMMAND ${setarch} -R true RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
if(setarch AND NOT failed)
    set(plain_layout ${setarch} -R)
endif()
function(tarn_other_build name preset label timeout)
    tarn_check(${name} ${timeout} ${plain_layout} ${CMAKE_CTEST_COMMAND}
        --test-dir ${CMAKE_SOURCE_DIR}/build/${preset} -L ${label} --output-on-failure
        --no-tests=error ${ARGN})
endfunction()
tarn_other_build(asan.unit asan unit 2700)
# Without two long ones that have one thread each, and one that forks while the engine is loaded: it then
# holds more locks at once than TSan can count. Nor with the jail's, which forks a process that must have one
# thread: TSan gives it another.
tarn_other_build(tsan.unit tsan unit 2700 -E txlog_mutation|table_tombstone_fault|erase_sweep|worker.jail)
tarn_other_build(asan.blackbox asan blackbox 2700)

# The long ones first, so that the short ones fill the other core; before them those that want all cores,
# which would otherwise wait at the end for the last of the others to free its core.
set_tests_properties(style.cppcheck style.clang_tidy PROPERTIES COST 2000)
set_tests_properties(asan.blackbox asan.unit tsan.unit PROPERTIES COST 1000)
