# One line at configure time says which of the two builds this is.
set(KIBAN_HAS_CUDA OFF)
if(KIBAN_CUDA)
  include(CheckLanguage)
  find_program(KIBAN_NVCC nvcc PATHS /usr/local/cuda/bin)  # often installed without being in PATH
  if(KIBAN_NVCC AND NOT DEFINED ENV{CUDACXX})
    set(ENV{CUDACXX} ${KIBAN_NVCC})
  endif()
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    # Ampere, Hopper and Blackwell, and PTX of the newest for what comes after them.
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100)
    enable_language(CUDA)
    set(CMAKE_CUDA_STANDARD 20)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # Debian 12's CMake does not know that nvcc can
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)  # a binary that starts on a machine without CUDA
    find_package(CUDAToolkit REQUIRED)
    set(KIBAN_HAS_CUDA ON)
  endif()
endif()
if(KIBAN_HAS_CUDA)
  message(STATUS "Kiban: CPU and CUDA ${CMAKE_CUDA_COMPILER_VERSION}, architectures ${CMAKE_CUDA_ARCHITECTURES}")
else()
  message(STATUS "Kiban: CPU only (no nvcc, or KIBAN_CUDA=OFF)")
endif()
