#include "io/image/metaimage_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <string>

#include "io/output_file.hpp"
#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

// The shortest digits that read back as the same numbers.
std::string text(const Vec3& numbers) { return fmt::format("{} {} {}", numbers[0], numbers[1], numbers[2]); }

std::string element_type(VoxelType type) {
  switch (type) {
    case VoxelType::uint8:
      return "MET_UCHAR";
    case VoxelType::int8:
      return "MET_CHAR";
    case VoxelType::uint16:
      return "MET_USHORT";
    case VoxelType::int16:
      return "MET_SHORT";
    case VoxelType::uint32:
      return "MET_UINT";
    case VoxelType::int32:
      return "MET_INT";
    case VoxelType::float32:
      return "MET_FLOAT";
  }
  throw Error(ErrorCode::internal, "a voxel has no known type");
}

// The direction goes axis by axis, the fields in the order that MetaIO gives them.
std::string header_of(const Grid& grid, VoxelType type) {
  return fmt::format(
      "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = {}\nCompressedData = False\n"
      "TransformMatrix = {} {} {}\nOffset = {}\nCenterOfRotation = 0 0 0\nElementSpacing = {}\nDimSize = {} {} {}\n"
      "ElementType = {}\nElementDataFile = LOCAL\n",
      std::endian::native == std::endian::big ? "True" : "False", text(column(grid.direction, 0)),
      text(column(grid.direction, 1)), text(column(grid.direction, 2)), text(grid.origin), text(grid.spacing),
      grid.nx(), grid.ny(), grid.nz(), element_type(type));
}

// 0 or errno.
int write_at(int file, std::int64_t offset, const void* bytes, std::int64_t count) {
  const char* from = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = pwrite(file, from, static_cast<std::size_t>(count), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : ENOSPC;
    from += written;
    offset += written;
    count -= written;
  }
  return 0;
}

int reserve(int file, std::int64_t bytes) {
  int failure = EINTR;
  while (failure == EINTR) failure = posix_fallocate(file, 0, bytes);
  return failure;
}

}  // namespace

MetaImageFile::MetaImageFile(const std::filesystem::path& file, const std::filesystem::path& asked_for,
                             const Grid& grid, VoxelType type)
    : asked_for_(asked_for),
      file_(open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)),
      slice_bytes_(grid.ny() * grid.nx() * bytes_of(type)) {
  if (file_ < 0) throw write_error(asked_for, errno);
  const std::string header = header_of(grid, type);
  header_bytes_ = static_cast<std::int64_t>(header.size());
  int failure = reserve(file_, header_bytes_ + grid.nz() * slice_bytes_);
  // A file that was meant for larger pixels is cut.
  if (failure == 0 && ftruncate(file_, header_bytes_ + grid.nz() * slice_bytes_) != 0) failure = errno;
  if (failure == 0) failure = write_at(file_, 0, header.data(), header_bytes_);
  if (failure == 0) return;
  close(file_);
  throw write_error(asked_for, failure);
}

MetaImageFile::~MetaImageFile() { close(file_); }

void MetaImageFile::write(std::int64_t begin, std::int64_t end, const void* values) {
  const std::int64_t offset = header_bytes_ + begin * slice_bytes_;
  if (const int failure = write_at(file_, offset, values, (end - begin) * slice_bytes_))
    throw write_error(asked_for_, failure);
}

}  // namespace kiban::io
