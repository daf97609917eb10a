#pragma once
#include <itkImageIOBase.h>

#include <cstdint>
#include <string>

#include "kernels/core/voxels.hpp"

// The seam to ITK: included by .cpp files of this folder only.
namespace kiban::io {

/// The ITK type of pixels of `type`.
itk::IOComponentEnum component_of(VoxelType type);

/// The VoxelType that holds every number of `component` as it is; float32 where none does (64 bits).
VoxelType voxel_type_of(itk::IOComponentEnum component);

/// Converts pixels of a file. To float32 by rounding to the nearest; to an integer type only what that type holds.
///   from    `count` pixels of `component`
///   to      `count` voxels of `type`
/// Returns the place of the first pixel that `type` does not hold, or -1. Errors: internal (unknown component).
std::int64_t convert_pixels(itk::IOComponentEnum component, const void* from, std::int64_t count, VoxelType type,
                            void* to);

/// A pixel as text. Errors: internal (unknown component).
std::string pixel_text(itk::IOComponentEnum component, const void* pixels, std::int64_t place);

}  // namespace kiban::io
