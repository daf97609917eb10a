#pragma once

/// Where the tests of faults break in: defined by a library that they preload (tests/faults), and by nobody else.
extern "C" [[gnu::weak]] void kiban_fault_point(const char* name);

namespace kiban::engine {

/// A named place at which a test may kill or stop the process. Costs a comparison where no test is preloaded.
///   name   what was done last and what comes next: "claim.row", "publish.rename"
inline void fault_point(const char* name) {
  if (&kiban_fault_point) kiban_fault_point(name);
}

}  // namespace kiban::engine
