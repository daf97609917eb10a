# kiban_sim_library(): kiban_sim, the simulator of tests/cudasim with every kernels/**/*.cu compiled by the C++ compiler, as
# objects. A test program that links it defines kiban::sim::* and so fills the weak references of the kernels' library; the
# linker exports what a shared library on its line refers to. Call it from tests/cudasim: it sets properties of sources.
function(kiban_sim_library)
  file(GLOB simulator CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/cudasim/*.cpp)
  list(FILTER simulator EXCLUDE REGEX "_test\\.cpp$")
  file(GLOB_RECURSE kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*.cu)
  set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-Wno-unknown-pragmas")
  # The scheduler acts on behalf of all fibers at once, which ThreadSanitizer would take for races of its own data.
  if(KIBAN_SANITIZE STREQUAL "thread")
    set_source_files_properties(fiber.cpp block.cpp scheduler.cpp PROPERTIES
      COMPILE_OPTIONS "-fno-sanitize=thread" COMPILE_DEFINITIONS CUDASIM_TSAN=1)
  endif()
  add_library(kiban_sim OBJECT ${simulator} ${kernels})
  target_include_directories(kiban_sim BEFORE PUBLIC ${PROJECT_SOURCE_DIR}/tests/cudasim/include)
  target_link_libraries(kiban_sim PUBLIC kiban::options kiban::kernels)
endfunction()
