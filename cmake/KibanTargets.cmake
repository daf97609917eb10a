include(GNUInstallDirs)

# kiban_add_library(NAME [EXCEPT FOLDER...]): every *.cpp of this folder and below, one shared library. Files of a thing
# share a stem, and the suffix says who walks it: x.cpp, x_cpu.cpp, x_cuda.cu. What a cuda/ folder holds needs CUDA's
# headers and is added with it; a folder that is left out is a library of its own.
function(kiban_add_library name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *.cpp *.hpp)
  list(FILTER sources EXCLUDE REGEX "(^|/)cuda/")
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" EXCEPT)
  foreach(folder ${arg_EXCEPT})
    list(FILTER sources EXCLUDE REGEX "^${folder}/")
  endforeach()
  add_library(kiban_${name} SHARED ${sources})
  add_library(kiban::${name} ALIAS kiban_${name})
  set_target_properties(kiban_${name} PROPERTIES EXPORT_NAME ${name} SOVERSION ${PROJECT_VERSION_MAJOR})
  target_link_libraries(kiban_${name} PUBLIC $<BUILD_INTERFACE:kiban::options>)
endfunction()

# kiban_add_tests(LIBRARY...): every *_test.cpp of this folder is a program of its own, registered under the folder's name.
function(kiban_add_tests)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
  file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR})
  string(REPLACE "/" "." prefix "${folder}")
  set(supp ${PROJECT_SOURCE_DIR}/tests/support)  # what sanitizers are to forgive other people's libraries
  foreach(source ${sources})
    get_filename_component(stem ${source} NAME_WE)
    set(target ${prefix}.${stem})
    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE ${ARGN} GTest::gtest_main GTest::gtest)
    # __FILE__ would do, if no compiler's cache made paths relative.
    target_compile_definitions(${target} PRIVATE KIBAN_SOURCE="${PROJECT_SOURCE_DIR}")
    add_test(NAME ${target} COMMAND ${target})
    # A program whose tests were all skipped, and none failed, is reported as skipped, not as passed.
    set_tests_properties(${target} PROPERTIES TIMEOUT 1500 ENVIRONMENT
      LSAN_OPTIONS=suppressions=${supp}/lsan.supp)
    set_tests_properties(${target} PROPERTIES
      SKIP_REGULAR_EXPRESSION "  PASSED  . 0 tests[.]\n([[]  SKIPPED [^\n]*\n)+$")
  endforeach()
endfunction()

# kiban_add_benchmarks(LIBRARY...): every *.cpp of this folder is a Google Benchmark program.
function(kiban_add_benchmarks)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR}/benchmarks ${CMAKE_CURRENT_SOURCE_DIR})
  foreach(source ${sources})
    get_filename_component(stem ${source} NAME_WE)
    set(target bench.${folder}.${stem})
    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE ${ARGN} benchmark::benchmark benchmark::benchmark_main)
    target_compile_definitions(${target} PRIVATE KIBAN_SOURCE="${PROJECT_SOURCE_DIR}")
  endforeach()
endfunction()
