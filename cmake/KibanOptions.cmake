option(KIBAN_TESTS "Build the tests" ON)
option(KIBAN_BENCHMARKS "Build the benchmarks" ON)
option(KIBAN_CUDA "Build the CUDA kernels when nvcc is found" ON)
set(KIBAN_PYTHON ON CACHE STRING "Build the Python package: ON where Python and nanobind are found, REQUIRED, OFF")
set(KIBAN_SANITIZE "" CACHE STRING "Sanitizers for everything, as for -fsanitize=: address,undefined or thread")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# Executables find the libraries beside them in the build tree and in an install prefix that was moved.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib;$ORIGIN")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)

find_program(KIBAN_CCACHE ccache)
if(KIBAN_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${KIBAN_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${KIBAN_CCACHE})
endif()

add_library(kiban_options INTERFACE)
add_library(kiban::options ALIAS kiban_options)
# One set of instruction sets for every kernel: what Highway would add between these differs too little to compile twice.
target_compile_definitions(kiban_options INTERFACE "HWY_DISABLED_TARGETS=(HWY_SSSE3|HWY_AVX3_DL)")
target_include_directories(kiban_options INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
# -ffp-contract=off: a product and a sum become one rounding only where the code says MulAdd, so that the same formula
# gives the same bits wherever it is inlined (a projector and its adjoint must agree on every weight).
target_compile_options(kiban_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wno-psabi;-ffp-contract=off>)
if(KIBAN_SANITIZE)
  target_compile_options(kiban_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${KIBAN_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=all>)
  target_link_options(kiban_options INTERFACE -fsanitize=${KIBAN_SANITIZE})
endif()
