#include "kernels/core/voxels.hpp"

#include <limits>

namespace kiban {

std::string name(VoxelType type) {
  switch (type) {
    case VoxelType::uint8:
      return "uint8";
    case VoxelType::int8:
      return "int8";
    case VoxelType::uint16:
      return "uint16";
    case VoxelType::int16:
      return "int16";
    case VoxelType::uint32:
      return "uint32";
    case VoxelType::int32:
      return "int32";
    case VoxelType::float32:
      return "float32";
  }
  throw Error(ErrorCode::internal, "a voxel has no known type");
}

std::int64_t bytes_of(VoxelType type) {
  return with_voxel_type(type, []<class T>() { return static_cast<std::int64_t>(sizeof(T)); });
}

bool is_label_type(VoxelType type) {
  return type == VoxelType::uint8 || type == VoxelType::uint16 || type == VoxelType::uint32;
}

VoxelType label_type_for(std::uint64_t largest) {
  if (largest <= std::numeric_limits<std::uint8_t>::max()) return VoxelType::uint8;
  if (largest <= std::numeric_limits<std::uint16_t>::max()) return VoxelType::uint16;
  if (largest <= std::numeric_limits<std::uint32_t>::max()) return VoxelType::uint32;
  throw Error(ErrorCode::input, "there would be more than 4294967295 labels; crop the volume");
}

VoxelArray::VoxelArray(VoxelType type, const Shape<3>& shape, Device device) {
  with_voxel_type(type, [&]<class T>() {
    const auto array = std::make_shared<Array<T, 3>>(shape, device);
    span_ = array->span();
    memory_ = array;
  });
}

void copy(Stream& stream, const ConstVoxelSpan& from, const VoxelSpan& to) {
  if (from.type() != to.type() || from.shape() != to.shape())
    throw Error(ErrorCode::internal, "copy between arrays of different types or shapes");
  if (from.size() == 0) return;
  copy_bytes(stream, to.data(), to.device(), from.data(), from.device(), from.bytes());
}

}  // namespace kiban
