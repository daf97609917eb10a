#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#include "io/image/image_format.hpp"
#include "io/input_file.hpp"

namespace kiban::io {
namespace {

constexpr std::int64_t header_bytes = 348, first_data_offset = 352;
constexpr float most_millimetres = 1e7f;

struct DataType {
  int code;
  std::int64_t bytes;
};
constexpr std::array<DataType, 10> data_types{
    {{2, 1}, {4, 2}, {8, 4}, {16, 4}, {64, 8}, {256, 1}, {512, 2}, {768, 4}, {1024, 8}, {1280, 8}}};

std::string gunzip_header(const std::filesystem::path& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), &gzclose);
  std::string bytes(header_bytes, '\0');
  if (!file || gzread(file.get(), bytes.data(), header_bytes) != header_bytes)
    refuse_image(path, "its gzip stream is broken or truncated; copy it again");
  return bytes;
}

// Fields of the 348 bytes, by their offset in nifti1.h, in either byte order.
class Header {
 public:
  Header(const std::filesystem::path& path, std::string bytes) : path_(path), bytes_(std::move(bytes)) {
    if (bytes_.size() < header_bytes || bytes_.compare(344, 4, std::string("n+1\0", 4)) != 0)
      refuse("is not a NIfTI-1 file in one piece; convert it to .nii");
    swapped_ = number<std::int32_t>(0) != header_bytes;
    if (number<std::int32_t>(0) != header_bytes) refuse("sizeof_hdr is not 348; the file is broken, write it again");
  }

  template <class T>
  T number(std::size_t offset) const {
    std::array<char, sizeof(T)> raw;
    std::memcpy(raw.data(), bytes_.data() + offset, sizeof(T));
    if (swapped_) std::reverse(raw.begin(), raw.end());
    T value;
    std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }

  // ITK decomposes the matrices in single precision, without end for numbers that are near its limits.
  void require_millimetres(const char* field, std::size_t offset, std::size_t count) const {
    for (std::size_t i = 0; i < count; ++i) {
      const float value = number<float>(offset + 4 * i);
      const bool ordinary = value == 0 || (std::isnormal(value) && std::abs(value) <= most_millimetres);
      if (!ordinary)
        refuse(fmt::format("{} holds {}, not finite or beyond {} mm; correct it", field, value, most_millimetres));
    }
  }

  [[noreturn]] void refuse(const std::string& sentence) const { refuse_image(path_, sentence); }

 private:
  const std::filesystem::path& path_;
  const std::string bytes_;
  bool swapped_ = false;
};

// As in nifti1.h a slope of 0 says that there is none. So does one that is not finite: nibabel writes NaN for that.
bool is_rescaled(const Header& header) {
  const float slope = header.number<float>(112), intercept = header.number<float>(116);
  const bool none = slope == 0 || !std::isfinite(slope);
  if (none && std::isfinite(intercept) && intercept != 0)
    header.refuse(
        fmt::format("scl_slope is {} and scl_inter {}: some programs add it and some do not; set scl_slope to "
                    "1, or scl_inter to 0",
                    slope, intercept));
  if (!none && !std::isfinite(intercept))
    header.refuse(fmt::format("scl_inter is {}, which is not finite; correct it", intercept));
  return !none && (slope != 1 || intercept != 0);
}

}  // namespace

DeclaredImage parse_nifti_header(const std::filesystem::path& path) {
  const std::int64_t size = input_file_size(path);
  const bool compressed = is_gzip_name(path);
  const Header header(path, compressed ? gunzip_header(path) : read_bytes(path, 0, header_bytes));
  DeclaredImage image;
  image.data_path = path;
  image.compressed = compressed;

  const int dimensions = header.number<std::int16_t>(40);
  if (dimensions < 1 || dimensions > 7) header.refuse(fmt::format("dim[0] is {}, not 1 to 7; correct it", dimensions));
  for (int axis = 1; axis <= dimensions; ++axis)
    image.extents.push_back(header.number<std::int16_t>(40 + 2 * static_cast<std::size_t>(axis)));
  while (image.extents.size() > 3 && image.extents.back() == 1) image.extents.pop_back();

  const int code = header.number<std::int16_t>(70);
  const auto* const type =
      std::find_if(data_types.begin(), data_types.end(), [&](const DataType& known) { return known.code == code; });
  if (type == data_types.end())
    header.refuse(
        fmt::format("datatype is {}, not one number a pixel (RGB, complex or longer than 64 bits); convert it to "
                    "float32",
                    code));
  image.bytes_per_value = type->bytes;
  if (header.number<std::int16_t>(72) != 8 * type->bytes)
    header.refuse("bitpix and datatype do not agree; the file is broken, write it again");

  image.rescaled = is_rescaled(header);

  header.require_millimetres("pixdim", 80, 3);
  for (std::size_t axis = 1; axis <= std::min<std::size_t>(3, image.extents.size()); ++axis) {
    if (header.number<float>(76 + 4 * axis) <= 0)
      header.refuse(fmt::format("pixdim[{}] is not above 0; write the spacing in mm", axis));
  }
  if (header.number<std::int16_t>(252) > 0) header.require_millimetres("the quaternion and offset of qform", 256, 6);
  if (header.number<std::int16_t>(254) > 0) header.require_millimetres("sform", 280, 12);

  const double offset = header.number<float>(108);
  if (!(offset >= first_data_offset && offset <= 1e9 && offset == std::floor(offset)))
    header.refuse(fmt::format("vox_offset is {}, not a whole number from 352 up; correct it", offset));
  image.data_offset = static_cast<std::int64_t>(offset);
  image.stored_bytes = std::max<std::int64_t>(0, compressed ? size : size - image.data_offset);
  return image;
}

}  // namespace kiban::io
