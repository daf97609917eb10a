#pragma once
#include <stdexcept>

namespace cudasim {

/// A kernel did what no kernel may. Ends the work of its stream; the next call that waits returns
/// cudaErrorLaunchFailure, and cudaGetErrorString says this sentence.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace cudasim
