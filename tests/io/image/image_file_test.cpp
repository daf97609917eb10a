#include "io/image/image_file.hpp"

#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <set>

#include "tests/io/image/pattern.hpp"
#include "tests/io/scratch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/test_data.hpp"

namespace kiban::io {
namespace {

using test::oblique_grid;
using test::pattern;
using test::Scratch;

bool same_bits(Span<const float, 3> a, Span<const float, 3> b) {
  return a.shape() == b.shape() && std::memcmp(a.host().data, b.host().data, a.bytes()) == 0;
}

void expect_same_place(const Grid& a, const Grid& b, double tolerance) {
  EXPECT_EQ(a.shape, b.shape);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(a.spacing[i], b.spacing[i], tolerance);
    EXPECT_NEAR(a.origin[i], b.origin[i], 100 * tolerance);
    for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(a.direction[i][j], b.direction[i][j], tolerance);
  }
}

struct Format {
  const char* extension;
  bool keeps_place, streams;
  double tolerance;  // NIfTI keeps single-precision numbers
};
class EveryFormat : public testing::TestWithParam<Format> {};
INSTANTIATE_TEST_SUITE_P(Image, EveryFormat,
                         testing::Values(Format{".mha", true, true, 1e-12}, Format{".nrrd", true, false, 1e-12},
                                         Format{".nii", true, false, 1e-6}, Format{".nii.gz", true, false, 1e-6},
                                         Format{".tif", false, false, 0}, Format{".tiff", false, false, 0},
                                         Format{".h5", true, true, 0}, Format{".hdf5", true, true, 0}),
                         [](const auto& test) {
                           std::string name = test.param.extension;
                           std::erase(name, '.');
                           return name;
                         });

TEST_P(EveryFormat, KeepsValuesAndPlace) {
  const Scratch scratch;
  const auto path = scratch / (std::string("v") + GetParam().extension);
  const Grid grid = oblique_grid({5, 7, 11});
  const auto values = pattern(grid.shape);
  write_image(path, grid, values.span());
  EXPECT_EQ(scratch.names().size(), 1u);
  const Volume read = read_volume(path);
  EXPECT_TRUE(same_bits(read.values.span(), values.span()));
  if (GetParam().keeps_place) expect_same_place(read.grid, grid, GetParam().tolerance);
  ImageReader reader(path);
  EXPECT_EQ(reader.pixel_type(), "float");
  EXPECT_EQ(reader.streams(), GetParam().streams);
}

TEST_P(EveryFormat, ReadsAndWritesInParts) {
  const Scratch scratch;
  const auto path = scratch / (std::string("v") + GetParam().extension);
  const Grid grid = oblique_grid({9, 6, 4});
  const auto values = pattern(grid.shape);
  ImageWriter writer(path, grid);
  for (const auto& [begin, end] : {std::pair{4, 9}, {0, 1}, {1, 4}})  // in any order
    writer.write(begin, values.span().slice(begin, end));
  writer.commit();
  ImageReader reader(path);
  Array<float, 3> part({3, 6, 4});
  for (const std::int64_t begin : {6, 0, 3}) {
    reader.read(begin, begin + 3, part.span());
    EXPECT_TRUE(same_bits(part.span(), values.span().slice(begin, begin + 3))) << begin;
  }
}

TEST_P(EveryFormat, HoldsOneSlice) {
  const Scratch scratch;
  const auto path = scratch / (std::string("v") + GetParam().extension);
  const Grid grid = oblique_grid({1, 6, 4});
  const auto values = pattern(grid.shape);
  write_image(path, grid, values.span());
  const Volume read = read_volume(path);
  EXPECT_TRUE(same_bits(read.values.span(), values.span()));
  if (GetParam().keeps_place) expect_same_place(read.grid, grid, GetParam().tolerance);
}

TEST_P(EveryFormat, AppearsOnlyWhole) {
  const Scratch scratch;
  const Grid grid = oblique_grid({3, 2, 2});
  const auto values = pattern(grid.shape);
  {
    ImageWriter writer(scratch / (std::string("v") + GetParam().extension), grid);
    writer.write(0, values.span().slice(0, 2));
    EXPECT_THROW(writer.write(1, values.span().slice(1, 2)), Error);  // written already
    EXPECT_THROW(writer.commit(), Error);                             // slice 2 is missing
  }
  EXPECT_TRUE(scratch.names().empty());
}

// NIfTI's axes are RAS and ours LPS: a voxel at LPS (10, 20, 30) has RAS (-10, -20, 30) in the file's own matrix.
TEST(Nifti, StoresRightAnteriorSuperior) {
  const Scratch scratch;
  Grid grid;
  grid.shape = {2, 2, 2};
  grid.origin = {10, 20, 30};
  grid.spacing = {1, 2, 3};
  write_image(scratch / "v.nii", grid, pattern(grid.shape).span());
  const std::string bytes = test::content_of(scratch / "v.nii");
  float srow[12];
  std::memcpy(srow, bytes.data() + 280, sizeof(srow));
  const float expected[12] = {-1, 0, 0, -10, 0, -2, 0, -20, 0, 0, 3, 30};
  for (int i = 0; i < 12; ++i) EXPECT_FLOAT_EQ(srow[i], expected[i]) << i;
}

template <class T>
std::string bytes_of(const std::vector<T>& values, bool swap) {
  std::string bytes;
  for (const T value : values) {
    std::string raw(sizeof(T), '\0');
    std::memcpy(raw.data(), &value, sizeof(T));
    bytes += swap ? std::string(raw.rbegin(), raw.rend()) : raw;
  }
  return bytes;
}

template <class T>
void expect_converted(const char* type) {
  const Scratch scratch;
  const std::vector<T> values{0, 1, 2, 100, std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max()};
  for (const bool swap : {false, true}) {
    const std::string header =
        std::string("ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = ") +
        (swap ? "True" : "False") + "\nDimSize = 1 2 3\nElementType = " + type + "\nElementDataFile = LOCAL\n";
    const Volume read = read_volume(scratch.write("v.mha", header + bytes_of(values, swap)));
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(read.values.host().data[i], static_cast<float>(values[i])) << type << " " << swap;
  }
}

TEST(MetaImage, ConvertsEveryType) {
  expect_converted<std::int8_t>("MET_CHAR");
  expect_converted<std::uint8_t>("MET_UCHAR");
  expect_converted<std::int16_t>("MET_SHORT");
  expect_converted<std::uint16_t>("MET_USHORT");
  expect_converted<std::int32_t>("MET_INT");
  expect_converted<std::uint32_t>("MET_UINT");
  expect_converted<std::int64_t>("MET_LONG_LONG");
  expect_converted<std::uint64_t>("MET_ULONG_LONG");
  expect_converted<float>("MET_FLOAT");
  expect_converted<double>("MET_DOUBLE");
}

// Integers go through a buffer of 16 MiB: a volume of more than one must not lose its seams.
TEST(MetaImage, ConvertsLargeVolumesInSteps) {
  const Scratch scratch;
  const Shape<3> shape{40, 512, 512};
  std::vector<std::uint16_t> values(static_cast<std::size_t>(element_count<3>(shape)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint16_t>(i * 2654435761u >> 7);
  const Volume read = read_volume(scratch.write(
      "v.mha",
      "NDims = 3\nBinaryData = True\nDimSize = 512 512 40\nElementType = MET_USHORT\nElementDataFile = LOCAL\n" +
          bytes_of(values, false)));
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < values.size(); ++i) wrong += read.values.host().data[i] != static_cast<float>(values[i]);
  EXPECT_EQ(wrong, 0u);
}

TEST(MetaImage, ReadsADetachedHeaderAndSkipsAHeader) {
  const Scratch scratch;
  const std::vector<std::int16_t> values{1, 2, 3, 4, 5, 6};
  scratch.write("v.raw", "12345" + bytes_of(values, false));
  const std::string header = "NDims = 2\nBinaryData = True\nDimSize = 3 2\nElementType = MET_SHORT\n";
  for (const char* skip : {"HeaderSize = 5\n", "HeaderSize = -1\n"}) {
    const Volume read = read_volume(scratch.write("v.mhd", header + skip + "ElementDataFile = v.raw\n"));
    EXPECT_EQ(read.grid.shape, (Shape<3>{1, 2, 3}));
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(read.values.host().data[i], values[i]) << skip;
  }
}

TEST(Nrrd, ReadsADetachedHeader) {
  const Scratch scratch;
  const std::vector<std::int16_t> values{1, 2, 3, 4, 5, 6};
  scratch.write("v.raw", bytes_of(values, false));
  const Volume read = read_volume(scratch.write(
      "v.nhdr",
      "NRRD0004\ntype: short\ndimension: 3\nsizes: 3 2 1\nendian: little\nencoding: raw\ndata file: v.raw\n\n"));
  EXPECT_EQ(read.grid.shape, (Shape<3>{1, 2, 3}));
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(read.values.host().data[i], values[i]);
}

TEST(TiffSeries, ReadsInNaturalOrder) {
  const Scratch scratch;
  Grid grid;
  grid.shape = {1, 4, 6};
  const auto values = pattern({12, 4, 6});
  for (std::int64_t slice = 0; slice < 12; ++slice)
    write_image(scratch / ("s" + std::to_string(slice) + ".tif"), grid, values.span().slice(slice, slice + 1));
  write_image(scratch / "other.tif", grid, values.span().slice(3, 4));
  const Volume read = read_volume(scratch / "s*.tif");
  EXPECT_TRUE(same_bits(read.values.span(), values.span()));
  ImageReader folder(scratch.folder());
  EXPECT_EQ(folder.grid().nz(), 13);
  EXPECT_TRUE(folder.streams());

  grid.shape = {1, 4, 5};
  write_image(scratch / "s12.tif", grid, pattern(grid.shape).span());
  test::expect_input_error([&] { ImageReader(scratch / "s*.tif"); }, {"s12.tif", "5 x 4 x 1", "6 x 4"});
  test::expect_input_error([&] { ImageReader(scratch / "t*.tif"); }, {"t*.tif", "no TIFF file matches"});
}

TEST(RealData, HeadIsReadWhole) {
  const auto path = test::test_data("ct/head.mha");
  if (!path) GTEST_SKIP() << "ct/head.mha is not in the test data";
  ImageReader reader(*path);
  EXPECT_EQ(reader.grid().shape, (Shape<3>{93, 64, 64}));
  EXPECT_EQ(reader.pixel_type(), "unsigned_short");
  EXPECT_NEAR(reader.grid().spacing[0], 3.2, 1e-6);
  EXPECT_DOUBLE_EQ(reader.grid().spacing[2], 1.5);
  const std::string bytes = test::content_of(*path);
  const std::size_t first = bytes.size() - 2 * 64 * 64 * 93;
  const Volume head = read_volume(*path);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < 64 * 64 * 93; ++i) {
    std::uint16_t value = 0;
    std::memcpy(&value, bytes.data() + first + 2 * i, 2);
    wrong += head.values.host().data[i] != static_cast<float>(value);
  }
  EXPECT_EQ(wrong, 0u);
}

TEST(RealData, DiamondProjectionsAreAStack) {
  const auto folder = test::test_data("ct/diamond_tiff");
  if (!folder) GTEST_SKIP() << "ct/diamond_tiff is not in the test data";
  ImageReader reader(*folder / "tiffs_raw_*.tiff");
  EXPECT_EQ(reader.grid().shape, (Shape<3>{91, 135, 160}));
  EXPECT_EQ(reader.pixel_type(), "unsigned_short");
  Array<float, 3> last({1, 135, 160});
  reader.read(90, 91, last.span());
  EXPECT_TRUE(same_bits(last.span(), read_volume(*folder / "tiffs_raw_00090.tiff").values.span()));
}

TEST(RequireFinite, NamesTheFirstBadPixel) {
  auto values = pattern({4, 3, 50});
  EXPECT_NO_THROW(require_finite(values.span(), "view", "p.mha", 0));
  values.host()(2, 1, 49) = std::numeric_limits<float>::quiet_NaN();
  values.host()(3, 0, 0) = std::numeric_limits<float>::infinity();
  test::expect_input_error([&] { require_finite(values.span(), "view", "p.mha", 32); },
                           {"p.mha", "view 34, row 1, column 49", "NaN"});
  test::expect_input_error([&] { require_finite(values.span().slice(3, 4), "slice", "p.mha", 3); },
                           {"slice 3, row 0, column 0", "infinite"});
  values = pattern({1, 1, 3});
  values.host()(0, 0, 0) = std::numeric_limits<float>::max();
  values.host()(0, 0, 1) = -std::numeric_limits<float>::denorm_min();
  EXPECT_NO_THROW(require_finite(values.span(), "view", "p.mha", 0));
}

// A hidden file that was given up and made anew could be somebody else's by then: its name can be guessed.
TEST_P(EveryFormat, ClaimsEachHiddenNameOnce) {
  const Scratch scratch;
  const int watch = inotify_init1(IN_NONBLOCK);
  inotify_add_watch(watch, scratch.folder().c_str(), IN_CREATE | IN_DELETE);  // equal neighbours would be one
  const Grid grid = oblique_grid({3, 4, 5});
  write_image(scratch / (std::string("v") + GetParam().extension), grid, pattern(grid.shape).span());
  std::set<std::string> created;
  alignas(inotify_event) std::array<char, 16384> events;
  const ssize_t bytes = read(watch, events.data(), events.size());
  ASSERT_GT(bytes, 0);
  for (ssize_t at = 0; at < bytes;) {
    const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
    if (event->mask & IN_CREATE) {
      EXPECT_TRUE(created.insert(event->name).second) << event->name << " was created twice";
    }
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
  }
  close(watch);
}

TEST(ImageFiles, AreAllThatHoldAnImage) {
  using Paths = std::vector<std::filesystem::path>;
  const Scratch scratch;
  Grid grid;
  grid.shape = {1, 4, 4};
  const auto values = pattern(grid.shape);
  for (const char* name : {"s10.tif", "s2.tif", "other.tif", "a.mha", "a.nrrd", "a.nii"})
    write_image(scratch / name, grid, values.span());
  EXPECT_EQ(image_files(scratch / "s*.tif"), (Paths{scratch / "s2.tif", scratch / "s10.tif"}));
  EXPECT_EQ(image_files(scratch.folder()), (Paths{scratch / "other.tif", scratch / "s2.tif", scratch / "s10.tif"}));
  for (const char* name : {"a.mha", "a.nrrd", "a.nii", "s2.tif"})
    EXPECT_EQ(image_files(scratch / name), Paths{scratch / name});
  scratch.write("pixels.raw", std::string(16, 'x'));
  scratch.write("b.mhd",
                "NDims = 2\nDimSize = 4 4\nBinaryData = True\nElementType = MET_UCHAR\n"
                "ElementDataFile = pixels.raw\n");
  scratch.write("b.nhdr", "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 4 4\nencoding: raw\ndata file: pixels.raw\n");
  for (const char* name : {"b.mhd", "b.nhdr"})
    EXPECT_EQ(image_files(scratch / name), (Paths{scratch / name, scratch / "pixels.raw"}));
  scratch.write("broken.mhd", "NDims = 2\n");
  for (const char* name : {"missing.mha", "no*.tif", "broken.mhd", "no-format"})
    EXPECT_EQ(image_files(scratch / name), Paths{scratch / name});
}

}  // namespace
}  // namespace kiban::io
