#pragma once
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/core/voxels.hpp"
#include "tests/support/compare.hpp"

namespace kiban::test {

using Labels = std::vector<std::uint32_t>;

/// Each voxel is one of `count` labels with a chance of `filled`, else 0.
inline Labels random_labels(const Shape<3>& shape, unsigned count, double filled, std::uint32_t seed) {
  std::mt19937 generator(seed);
  Labels labels(static_cast<std::size_t>(element_count<3>(shape)));
  for (std::uint32_t& label : labels)
    label = static_cast<double>(generator()) < filled * 4294967296.0 ? 1 + generator() % count : 0;
  return labels;
}

/// Blobs of some voxels across: what a random field becomes when neighbours agree.
inline Labels blobs(const Shape<3>& shape, unsigned count, std::int64_t size, std::uint32_t seed) {
  Shape<3> coarse;
  for (std::size_t axis = 0; axis < 3; ++axis) coarse[axis] = shape[axis] / size + 1;
  const Labels seeds = random_labels(coarse, count, 0.6, seed);
  Labels labels;
  for (std::int64_t z = 0; z < shape[0]; ++z)
    for (std::int64_t y = 0; y < shape[1]; ++y)
      for (std::int64_t x = 0; x < shape[2]; ++x)
        labels.push_back(seeds[static_cast<std::size_t>(
            ((z + x % 3) / size % coarse[0] * coarse[1] + (y + z % 2) / size % coarse[1]) * coarse[2] + x / size)]);
  return labels;
}

/// Labels as voxels of `type` on a stream's device.
inline VoxelArray to_device(Stream& stream, const Labels& labels, VoxelType type, const Shape<3>& shape) {
  VoxelArray host(type, shape), there(type, shape, stream.device());
  with_label_type(type, [&]<class T>() {
    const auto view = host.span().as<T>().host();
    for (std::size_t i = 0; i < labels.size(); ++i) view.data[i] = static_cast<T>(labels[i]);
  });
  copy(stream, host.span(), there.span());
  stream.synchronize();
  return there;
}

inline Labels to_labels(Stream& stream, const ConstVoxelSpan& voxels) {
  VoxelArray host(voxels.type(), voxels.shape());
  copy(stream, voxels, host.span());
  stream.synchronize();
  return with_label_type(voxels.type(), [&]<class T>() {
    const auto view = host.span<T>().host();
    return Labels(view.data, view.data + view.size());
  });
}

}  // namespace kiban::test
