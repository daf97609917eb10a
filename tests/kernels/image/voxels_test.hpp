#pragma once
#include <gtest/gtest.h>

#include <vector>

#include "kernels/core/voxels.hpp"
#include "tests/support/compare.hpp"

namespace kiban::test {

inline constexpr VoxelType kAllVoxelTypes[] = {VoxelType::uint8,  VoxelType::int8,  VoxelType::uint16, VoxelType::int16,
                                               VoxelType::uint32, VoxelType::int32, VoxelType::float32};

/// Values of any VoxelType to a device and back.
class VoxelsTest : public testing::TestWithParam<Device> {
 protected:
  VoxelArray there(VoxelType type, const std::vector<double>& values, const Shape<3>& shape) {
    VoxelArray host(type, shape), made(type, shape, GetParam());
    with_voxel_type(type, [&]<class T>() {
      for (std::size_t i = 0; i < values.size(); ++i) host.span().as<T>().host().data[i] = static_cast<T>(values[i]);
    });
    copy(stream_, host.span(), made.span());
    stream_.synchronize();
    return made;
  }
  std::vector<double> values_of(const VoxelArray& from) {
    VoxelArray host(from.type(), from.shape());
    copy(stream_, from.span(), host.span());
    stream_.synchronize();
    return with_voxel_type(from.type(), [&]<class T>() {
      const auto view = host.span().as<T>().host();
      return std::vector<double>(view.data, view.data + view.size());
    });
  }
  Stream stream_{GetParam(), 3};
};

}  // namespace kiban::test
