// Files of integers keep their numbers, and say where a number is none that was asked for.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "io/image/image_file.hpp"
#include "tests/io/image/pattern.hpp"
#include "tests/io/scratch.hpp"
#include "tests/support/compare.hpp"

namespace kiban::io {
namespace {

using test::expect_input_error;
using test::oblique_grid;
using test::Scratch;

constexpr const char* kExtensions[] = {".mha", ".nrrd", ".nii", ".nii.gz", ".tif", ".h5"};

/// The least, the largest, and what is between.
template <class T>
Array<T, 3> every_part_of_the_range(const Shape<3>& shape) {
  Array<T, 3> array(shape);
  const auto view = array.host();
  for (std::int64_t i = 0; i < view.size(); ++i) view.data[i] = static_cast<T>(i * 2654435761);
  view.data[0] = std::numeric_limits<T>::lowest();
  view.data[1] = std::numeric_limits<T>::max();
  return array;
}

template <class T>
class EveryVoxelType : public testing::Test {};
using VoxelTypes = testing::Types<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t>;
TYPED_TEST_SUITE(EveryVoxelType, VoxelTypes);

TYPED_TEST(EveryVoxelType, IsWrittenAndReadAsItIs) {
  const Grid grid = oblique_grid({3, 4, 5});
  const Array<TypeParam, 3> values = every_part_of_the_range<TypeParam>(grid.shape);
  for (const std::string extension : kExtensions) {
    if (extension == ".tif" && sizeof(TypeParam) == 4) continue;
    const Scratch scratch;
    const auto path = scratch / ("v" + extension);
    write_image(path, grid, values.span());
    ImageReader reader(path);
    EXPECT_EQ(reader.voxel_type(), voxel_type<TypeParam>()) << extension;
    const VoxelVolume read = read_voxels(reader, reader.voxel_type());
    EXPECT_EQ(test::to_vector(read.values.template span<TypeParam>()), test::to_vector(values.span())) << extension;
    Array<TypeParam, 3> slice({1, 4, 5});
    reader.read(2, 3, slice.span());
    EXPECT_EQ(test::to_vector(slice.span()), test::to_vector(values.span().slice(2, 3))) << extension;
  }
}

TYPED_TEST(EveryVoxelType, FillsALargerFileThatIsNarrowed) {
  const Grid grid = oblique_grid({3, 4, 5});
  const Array<TypeParam, 3> values = every_part_of_the_range<TypeParam>(grid.shape);
  for (const char* name : {"v.mha", "v.nii.gz"}) {
    const Scratch scratch;
    ImageWriter writer(scratch / name, grid);
    EXPECT_THROW(writer.write(0, values.span()), Error);
    writer.narrow(voxel_type<TypeParam>());
    writer.write(0, values.span());
    EXPECT_THROW(writer.narrow(VoxelType::uint8), Error);
    writer.commit();
    ImageReader reader(scratch / name);
    EXPECT_EQ(reader.voxel_type(), voxel_type<TypeParam>());
    EXPECT_EQ(test::to_vector(read_voxels(reader, voxel_type<TypeParam>()).values.template span<TypeParam>()),
              test::to_vector(values.span()));
  }
}

TEST(Labels, AreReadFromEveryTypeThatHoldsWholeNumbers) {
  const Grid grid = oblique_grid({2, 2, 2});
  const std::vector<float> labels{0, 1, 2, 255, 0, 7, 7, 3};
  const Scratch scratch;
  write_image(scratch / "f.nii.gz", grid, Span<const float, 3>(labels.data(), grid.shape));
  std::vector<std::int16_t> shorts(labels.begin(), labels.end());
  write_image(scratch / "s.nrrd", grid, Span<const std::int16_t, 3>(shorts.data(), grid.shape));
  ImageReader floats(scratch / "f.nii.gz"), signed_shorts(scratch / "s.nrrd");
  EXPECT_EQ(label_type(floats), VoxelType::uint32);
  EXPECT_EQ(label_type(signed_shorts), VoxelType::uint16);
  EXPECT_EQ(test::to_vector(read_voxels(floats, VoxelType::uint32).values.span<std::uint32_t>()),
            std::vector<std::uint32_t>(labels.begin(), labels.end()));
  EXPECT_EQ(test::to_vector(read_voxels(signed_shorts, VoxelType::uint16).values.span<std::uint16_t>()),
            std::vector<std::uint16_t>(labels.begin(), labels.end()));
  Array<std::uint8_t, 3> bytes(grid.shape);
  signed_shorts.read(0, 2, bytes.span());
  EXPECT_EQ(bytes.host()(0, 1, 1), 255);
}

TEST(Labels, NameTheVoxelThatIsNone) {
  const Grid grid = oblique_grid({3, 2, 2});
  for (const float bad : {-1.0F, 0.5F, 4294967296.0F, std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    std::vector<float> values(12, 1);
    values[9] = bad;
    for (const char* name : {"v.mha", "v.nrrd"}) {
      const Scratch scratch;
      write_image(scratch / name, grid, Span<const float, 3>(values.data(), grid.shape));
      ImageReader reader(scratch / name);
      expect_input_error([&] { read_voxels(reader, VoxelType::uint32); },
                         {name, "slice 2, row 0, column 1", "0 to 4294967295"});
    }
  }
}

TEST(Labels, OfThirtyTwoBitsAreNoTiff) {
  const Scratch scratch;
  expect_input_error(
      [&] {
        ImageWriter(scratch / "v.tif", oblique_grid({1, 2, 2}), VoxelType::uint32);
      },
      {"v.tif", "write .nii.gz"});
  EXPECT_TRUE(scratch.names().empty());
}

}  // namespace
}  // namespace kiban::io
