#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "io/image/image_file.hpp"
#include "tests/io/scratch.hpp"

namespace kiban::io {
namespace {

using test::expect_input_error;
using test::Scratch;

const std::vector<int> stored{0, 1, 7, 100, 3, 20, 64, 90};

struct Bytes : std::string {
  template <class T>
  void put(std::size_t offset, T value) {
    std::memcpy(data() + offset, &value, sizeof(T));
  }
};

/// A header as nifti1.h has it, 2 x 2 x 2 voxels of 1 mm, and `stored` behind it.
template <class T>
std::string nifti(std::int16_t datatype, float slope, float intercept) {
  Bytes bytes;
  bytes.resize(352 + stored.size() * sizeof(T));
  bytes.put<std::int32_t>(0, 348);
  for (std::size_t axis = 0; axis < 8; ++axis) {
    bytes.put<std::int16_t>(40 + 2 * axis, axis == 0 ? 3 : axis < 4 ? 2 : 1);
    bytes.put<float>(76 + 4 * axis, 1);
  }
  bytes.put<std::int16_t>(70, datatype);
  bytes.put<std::int16_t>(72, 8 * sizeof(T));
  bytes.put<float>(108, 352);
  bytes.put<float>(112, slope);
  bytes.put<float>(116, intercept);
  bytes.put<std::int16_t>(252, 1);
  bytes.replace(344, 4, "n+1\0", 4);
  for (std::size_t i = 0; i < stored.size(); ++i) bytes.put(352 + i * sizeof(T), static_cast<T>(stored[i]));
  return bytes;
}

void expect_values(const std::string& bytes, double slope, double intercept) {
  const Scratch scratch;
  const auto path = scratch.write("v.nii", bytes);
  const Volume whole = read_volume(path);
  ImageReader reader(path);
  Array<float, 3> slice({1, 2, 2});
  reader.read(1, 2, slice.span());
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const auto expected = static_cast<float>(slope * stored[i] + intercept);
    EXPECT_FLOAT_EQ(whole.values.host().data[i], expected) << i;
    if (i >= 4) {
      EXPECT_FLOAT_EQ(slice.host().data[i - 4], expected) << i;
    }
  }
}

void expect_refused(const std::string& bytes, std::vector<std::string> words) {
  const Scratch scratch;
  words.push_back("v.nii");
  expect_input_error([&] { read_volume(scratch.write("v.nii", bytes)); }, words);
}

template <class T>
void expect_every_scale(std::int16_t datatype) {
  SCOPED_TRACE("datatype " + std::to_string(datatype));
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), infinite = std::numeric_limits<float>::infinity();
  expect_values(nifti<T>(datatype, 1, 0), 1, 0);
  expect_values(nifti<T>(datatype, 1, -1024), 1, -1024);
  expect_values(nifti<T>(datatype, 0.5, 3), 0.5, 3);
  expect_values(nifti<T>(datatype, -2, 0), -2, 0);
  for (const float none : {0.f, nan, infinite}) {
    expect_values(nifti<T>(datatype, none, 0), 1, 0);
    expect_values(nifti<T>(datatype, none, nan), 1, 0);
    expect_refused(nifti<T>(datatype, none, 5), {"scl_slope", "scl_inter", "set"});
  }
  for (const float broken : {nan, infinite}) expect_refused(nifti<T>(datatype, 2, broken), {"scl_inter", "finite"});
}

// Hounsfield units are often kept so: whole numbers from 0 up, and an intercept of -1024.
TEST(Nifti, RescalesEveryTypeOfPixel) {
  expect_every_scale<std::uint8_t>(2);
  expect_every_scale<std::int16_t>(4);
  expect_every_scale<std::int32_t>(8);
  expect_every_scale<float>(16);
  expect_every_scale<double>(64);
  expect_every_scale<std::int8_t>(256);
  expect_every_scale<std::uint16_t>(512);
  expect_every_scale<std::uint32_t>(768);
  expect_every_scale<std::int64_t>(1024);
  expect_every_scale<std::uint64_t>(1280);
}

}  // namespace
}  // namespace kiban::io
