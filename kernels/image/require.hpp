#pragma once
#include "kernels/core/finite.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::image {

/// Errors: device (memory elsewhere than the stream's device).
inline void require_on(const Stream& stream, Device device) {
  if (device != stream.device())
    throw Error(ErrorCode::device, "memory of " + name(device) + " was handed to work on " + name(stream.device()));
}

/// For what compares values. Errors: input (a float that is not finite) · device.
inline void require_ordered(Stream& stream, const ConstVoxelSpan& image) {
  if (image.size() != 0 && image.type() == VoxelType::float32 && !all_finite(stream, image.as<float>()))
    throw Error(ErrorCode::input, "a voxel is not a number or infinite, which has no place in an order; replace it");
}

}  // namespace kiban::image
