#include <cstdio>

// Debian compiles libhdf5_serial.a, libhts.a and what it needs for programs, not for libraries: their code reaches the
// standard streams as if they lay in the same file. io/CMakeLists.txt wraps these names, the only such ones, and here
// they do lie in this library.
extern "C" {
extern std::FILE *__real_stdin, *__real_stderr, *__real_stdout;  // NOLINT: names that the linker's --wrap gives
__attribute__((visibility("hidden"))) std::FILE *__wrap_stdin, *__wrap_stderr, *__wrap_stdout;
}

namespace {

// Before any constructor of C++: HDF5 may be called from one.
__attribute__((constructor(101))) void point_at_the_streams() {
  __wrap_stdin = __real_stdin;
  __wrap_stderr = __real_stderr;
  __wrap_stdout = __real_stdout;
}

}  // namespace
