#pragma once
// Stands in the way of CUDA's own header: the same .cu, compiled by the C++ compiler, runs on the CPU with one fiber
// for each CUDA thread. Only what Kiban's kernels use is here; `__shared__` is missing on purpose (block_shared of
// launch.cuh).
#define KIBAN_CUDASIM 1

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__

// IWYU pragma: begin_exports
#include "cudasim/device_functions.h"
#include "cudasim/launch.h"
#include "cudasim/runtime_api.h"
#include "cudasim/texture_functions.h"
#include "cudasim/vector_types.h"
// IWYU pragma: end_exports
