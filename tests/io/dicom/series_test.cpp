#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <random>

#include "io/dicom_reader.hpp"
#include "io/image/image_file.hpp"
#include "tests/io/dicom/part_10.hpp"
#include "tests/io/scratch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/test_data.hpp"

namespace kiban::test {
namespace {

constexpr std::int64_t kRows = 5, kColumns = 7;

/// An image of a series: 12 bits, of which the upper four hold rubbish, unless said otherwise.
struct Image {
  std::string position = "-10\\20\\30", orientation = "1\\0\\0\\0\\1\\0", spacing = "0.5\\0.25", uid = "1.2.840.7";
  std::string slope = "1", intercept = "-1024", kind = "MONOCHROME2", extra;
  int allocated = 16, stored = 12, high = 11, sign = 0, rows = kRows, columns = kColumns;
  int rubbish = 0xA000;
  std::uint32_t seed = 1;

  std::vector<int> numbers() const {
    std::mt19937 generator(seed);
    std::vector<int> numbers(static_cast<std::size_t>(kRows * kColumns));
    for (int& number : numbers)
      number = static_cast<int>(generator() % (1U << stored)) - (sign != 0 ? 1 << (stored - 1) : 0);
    return numbers;
  }
  std::string bytes() const {
    const auto text = [](std::uint16_t group, std::uint16_t number, const char* vr, const std::string& value) {
      return value.empty() ? "" : element(group, number, vr, value);
    };
    const auto number = [](std::uint16_t number, int value) {
      return element(0x0028, number, "US", little(static_cast<std::uint64_t>(value), 2));
    };
    std::string pixels;
    for (const int value : numbers()) {
      const int bits = (value & ((1 << stored) - 1)) << std::max(high + 1 - stored, 0);
      pixels += little(static_cast<std::uint64_t>(allocated == 8 ? bits : bits | rubbish), allocated / 8);
    }
    if (pixels.size() % 2 == 1) pixels += '\0';
    return text(0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.2") + text(0x0008, 0x0018, "UI", "1.2.3." + position) +
           extra + text(0x0020, 0x000e, "UI", uid) + text(0x0020, 0x0032, "DS", position) +
           text(0x0020, 0x0037, "DS", orientation) + number(0x0002, 1) + text(0x0028, 0x0004, "CS", kind) +
           number(0x0010, rows) + number(0x0011, columns) + text(0x0028, 0x0030, "DS", spacing) +
           number(0x0100, allocated) + number(0x0101, stored) + number(0x0102, high) + number(0x0103, sign) +
           text(0x0028, 0x1052, "DS", intercept) + text(0x0028, 0x1053, "DS", slope) +
           element(0x7fe0, 0x0010, allocated == 8 ? "OB" : "OW", pixels);
  }
  std::string file() const { return part_10(bytes()); }
};

class DicomSeries : public testing::Test {
 protected:
  std::string add(const std::string& name, const Image& image) { return scratch_.write(name, image.file()); }
  /// Slices 2 mm apart whose names are not in the order of their positions.
  void add_series(int count) {
    for (int k = 0; k < count; ++k) {
      Image image;
      image.position = fmt::format("-10\\20\\{}", 30 + 2 * k);
      image.seed = static_cast<std::uint32_t>(k);
      add(fmt::format("{}.dcm", (k * 7 + 3) % 10), image);
    }
  }
  std::string folder() const { return scratch_ / ""; }
  std::string refusal() const { return refusal_of(folder()); }
  static std::string refusal_of(const std::string& path) {
    try {
      io::ImageReader reader(path);
      Array<float, 3> values(reader.grid().shape);
      reader.read(0, reader.grid().nz(), values.span());
      return "was read";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::input);
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error.what();
    }
  }
  void expect_refused(const std::string& words) {
    const std::string why = refusal();
    EXPECT_NE(why.find(words), std::string::npos) << why;
  }
  /// Values of one slice as its numbers say.
  static void expect_values(const std::string& path, const Image& image, VoxelType type) {
    io::ImageReader reader(path);
    EXPECT_EQ(reader.voxel_type(), type) << path;
    const Volume volume = io::read_volume(path);
    const std::vector<int> numbers = image.numbers();
    for (std::size_t i = 0; i < numbers.size(); ++i)
      ASSERT_FLOAT_EQ(volume.values.host().data[i], static_cast<float>(std::atof(image.slope.c_str()) * numbers[i] +
                                                                       std::atof(image.intercept.c_str())))
          << path << " " << i;
  }

  Scratch scratch_;
};

TEST_F(DicomSeries, LiesWhereItsPositionsSay) {
  add_series(6);
  scratch_.write("notes.txt", std::string(200, 'x'));
  scratch_.write("report.dcm", part_10(element(0x0008, 0x0060, "CS", "SR")));
  io::ImageReader reader(folder());
  const Grid& grid = reader.grid();
  EXPECT_EQ(grid.shape, (Shape<3>{6, kRows, kColumns}));
  EXPECT_EQ(grid.spacing, (Vec3{0.25, 0.5, 2}));
  EXPECT_EQ(grid.origin, (Vec3{-10, 20, 30}));
  EXPECT_EQ(grid.direction, identity3());
  EXPECT_EQ(reader.voxel_type(), VoxelType::int16);
  EXPECT_TRUE(reader.streams());
  EXPECT_EQ(io::image_files(folder()).size(), 7U);
  const VoxelVolume all = io::read_voxels(reader, VoxelType::int16);
  VoxelArray part(VoxelType::int16, {2, kRows, kColumns});
  reader.read(3, 5, part.span());
  for (int k = 0; k < 6; ++k) {
    Image image;
    image.seed = static_cast<std::uint32_t>(k);
    const std::vector<int> numbers = image.numbers();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const std::size_t at = static_cast<std::size_t>(k) * numbers.size() + i;
      ASSERT_EQ(all.values.span<std::int16_t>().host().data[at], numbers[i] - 1024);
      if (k == 3 || k == 4)
        ASSERT_EQ(part.span().as<std::int16_t>().host().data[at - 3 * numbers.size()], numbers[i] - 1024);
    }
  }
  EXPECT_NE(refusal_of(folder() + "nothing.dcm"), "was read");
}

TEST_F(DicomSeries, RunsAlongItsOwnNormal) {
  // Coronal, from the back to the front in the order of names.
  for (int k = 0; k < 3; ++k) {
    Image image;
    image.orientation = "1\\0\\0\\0\\0\\-1";
    image.position = fmt::format("5\\{}\\100", 50 - 3 * k);
    add(fmt::format("{}.dcm", k), image);
  }
  const Grid grid = io::ImageReader(folder()).grid();
  EXPECT_EQ(grid.spacing[2], 3);
  EXPECT_EQ(grid.origin, (Vec3{5, 44, 100}));
  EXPECT_EQ(column(grid.direction, 1), (Vec3{0, 0, -1}));
  EXPECT_EQ(column(grid.direction, 2), (Vec3{0, 1, 0}));
}

TEST_F(DicomSeries, KeepsNumbersInTheNarrowestType) {
  Image image;
  image.extra = element(0x0018, 0x0050, "DS", "2.5");
  expect_values(add("12_bits.dcm", image), image, VoxelType::int16);
  EXPECT_EQ(io::ImageReader(scratch_ / "12_bits.dcm").grid().spacing[2], 2.5);
  image.sign = 1;
  expect_values(add("signed.dcm", image), image, VoxelType::int16);
  image.intercept = image.slope = "";
  expect_values(
      add("no_slope.dcm", Image{image}),
      [&] {
        Image told = image;
        told.slope = "1";
        return told;
      }(),
      VoxelType::int16);
  image = {};
  image.high = 15;  // in the upper bits
  image.rubbish = 0x000A;
  expect_values(add("high.dcm", image), image, VoxelType::int16);
  image = {};
  image.stored = 16, image.high = 15, image.rubbish = 0;
  expect_values(add("16_bits.dcm", image), image, VoxelType::int32);
  image.intercept = "0";
  expect_values(add("16_bits_0.dcm", image), image, VoxelType::uint16);
  image = {};
  image.allocated = 8, image.stored = 8, image.high = 7, image.intercept = "0", image.kind = "MONOCHROME1";
  expect_values(add("8_bits.dcm", image), image, VoxelType::uint8);
  image.slope = "0.5";
  expect_values(add("half.dcm", image), image, VoxelType::float32);
}

TEST_F(DicomSeries, IsDecodedByWhatDcmtkHas) {
  Image image;
  image.rubbish = 0;
  const std::string plain = add("plain.dcm", image);
  const std::pair<const char*, std::vector<std::string>> encoders[] = {{"lossless JPEG", {"dcmcjpeg", "+e1"}},
                                                                       {"older lossless JPEG", {"dcmcjpeg", "+el"}},
                                                                       {"RLE", {"dcmcrle"}},
                                                                       {"JPEG-LS", {"dcmcjpls"}},
                                                                       {"big endian", {"dcmconv", "+tb"}},
                                                                       {"implicit", {"dcmconv", "+ti"}}};
  for (const auto& [name, encoder] : encoders) {
    const std::string encoded = scratch_ / "encoded.dcm";
    std::vector<std::string> command = encoder;
    command.insert(command.end(), {"-q", plain, encoded});
    const Finished finished = run(command);
    ASSERT_EQ(finished.status, 0) << name << ": " << finished.err;
    expect_values(encoded, image, VoxelType::int16);
  }
}

/// A lossless stream holds whole cells of 16 bits; the header then says, truly or not, which of them are the number.
/// That it says 8 bits to a cell must not make two pixels of one.
TEST_F(DicomSeries, HeadersThatTheirStreamsContradict) {
  Image image;
  image.rubbish = 0;
  const std::string plain = add("plain.dcm", image), encoded = scratch_ / "encoded.dcm";
  ASSERT_EQ(run({"dcmcjpeg", "+e1", "-q", plain, encoded}).status, 0);
  const auto expect_numbers = [&](const std::vector<std::string>& changes, const std::function<int(int)>& of) {
    std::vector<std::string> command{"dcmodify", "-nb", "-q"};
    for (const std::string& change : changes) command.insert(command.end(), {"-m", change});
    command.push_back(encoded);
    ASSERT_EQ(run(command).status, 0);
    const Volume volume = io::read_volume(encoded);
    const std::vector<int> numbers = image.numbers();
    for (std::size_t i = 0; i < numbers.size(); ++i)
      ASSERT_EQ(volume.values.host().data[i], static_cast<float>(of(numbers[i]) - 1024)) << i;
  };
  expect_numbers({"HighBit=15"}, [](int number) { return number >> 4; });
  expect_numbers({"BitsAllocated=8", "BitsStored=8", "HighBit=7"}, [](int number) { return number & 0xFF; });
}

TEST_F(DicomSeries, IsAGridOrRefused) {
  for (const char* z : {"-1e308", "1e308"}) {
    Image image;
    image.position = std::string("0\\0\\") + z;
    add(std::string(z) + ".dcm", image);
  }
  EXPECT_NE(refusal(), "was read");
}

TEST_F(DicomSeries, RoundedHeadersAreOneSeries) {
  for (int k = 0; k < 3; ++k) {
    Image image;
    image.position = fmt::format("0\\0\\{}", k);
    image.spacing = k == 1 ? "0.6835\\0.6835" : "0.683499\\0.683499";
    image.orientation = k == 2 ? "1.0008\\0\\0\\0\\1\\0" : "1\\0\\0\\0\\1\\0";
    add(fmt::format("{}.dcm", k), image);
  }
  const io::ImageReader reader(folder());
  EXPECT_EQ(reader.grid().shape[0], 3);
  EXPECT_EQ(reader.grid().direction, identity3());
}

TEST_F(DicomSeries, AFolderOfTiffWithAStrayImageIsNoSeries) {
  add("stray.dcm", {});
  const Array<float, 3> slice({1, 2, 2});
  io::write_image(scratch_ / "s.tif", Grid{{1, 2, 2}}, slice.span());
  expect_refused("holds DICOM (stray.dcm) and TIFF (s.tif)");
}

TEST_F(DicomSeries, GapsAreNamed) {
  add_series(6);
  std::filesystem::remove(scratch_ / "4.dcm");  // the fourth of six: (3 * 7 + 3) % 10
  expect_refused("slices lie 2 mm apart, but 7.dcm and 1.dcm lie 4 mm");
}

TEST_F(DicomSeries, DuplicatesAreNamed) {
  add_series(3);
  add("again.dcm", {});
  expect_refused("3.dcm and again.dcm lie at the same place");
}

TEST_F(DicomSeries, ATiltedGantryIsNamed) {
  for (int k = 0; k < 4; ++k) {
    Image image;
    image.position = fmt::format("0\\{}\\{}", k, 3 * k);
    image.extra = element(0x0018, 0x1120, "DS", "18.4");
    add(fmt::format("{}.dcm", k), image);
  }
  expect_refused("sheared by 18.4 degrees, as with a tilted gantry (GantryDetectorTilt 18.4)");
}

TEST_F(DicomSeries, MixturesAreNamed) {
  const auto with_other = [&](const std::function<void(Image&)>& change) {
    add_series(3);
    Image other;
    other.position = "-10\\20\\36";
    change(other);
    add("other.dcm", other);
    expect_refused("holds 2 series");
    expect_refused("1 images like other.dcm");
  };
  with_other([](Image& other) { other.uid = "1.2.840.8"; });
  with_other([](Image& other) { other.orientation = "0\\1\\0\\1\\0\\0"; });
  with_other([](Image& other) { other.spacing = "0.5\\0.5"; });
}

TEST_F(DicomSeries, WhatCannotBeReadIsRefused) {
  const auto refused = [&](const std::string& words, const std::function<void(Image&)>& change) {
    Image image;
    change(image);
    const std::string why = refusal_of(add("bad.dcm", image));
    EXPECT_NE(why.find(words), std::string::npos) << why;
  };
  refused("has no ImagePositionPatient", [](Image& image) { image.position = ""; });
  refused("has no ImageOrientationPatient", [](Image& image) { image.orientation = ""; });
  refused("has no PixelSpacing", [](Image& image) { image.spacing = ""; });
  refused("its ImagePositionPatient is 1\\2", [](Image& image) { image.position = "1\\2"; });
  refused("its ImagePositionPatient is nan", [](Image& image) { image.position = "nan\\0\\0"; });
  refused("right angles", [](Image& image) { image.orientation = "1\\0\\0\\1\\0\\0"; });
  refused("above 0", [](Image& image) { image.spacing = "0\\1"; });
  refused("RGB", [](Image& image) { image.kind = "RGB"; });
  refused("several frames", [](Image& image) { image.extra = element(0x0028, 0x0008, "IS", "5"); });
  refused("BitsAllocated", [](Image& image) { image.allocated = 24; });
  refused("BitsStored", [](Image& image) { image.stored = 0; });
  refused("HighBit", [](Image& image) { image.high = 3; });
  refused("pixels; send it again", [](Image& image) { image.rows = 65535, image.columns = 65535; });
  const std::string whole = Image().file();
  for (std::size_t length = 0; length < whole.size(); length += 7)
    EXPECT_NE(refusal_of(scratch_.write("short.dcm", whole.substr(0, length))), "was read") << length;
  const std::string unknown = scratch_.write("mpeg.dcm", part_10(Image().bytes(), "1.2.840.10008.1.2.4.102"));
  EXPECT_NE(refusal_of(unknown), "was read");
  const std::string empty = scratch_.write("no_image.dcm", part_10(element(0x0008, 0x0060, "CS", "SR")));
  EXPECT_NE(refusal_of(empty).find("without an image"), std::string::npos);
}

TEST_F(DicomSeries, BrokenJpeg2000IsRefused) {
  const auto series = test_data("image/ct_dicom_series");
  if (!series) GTEST_SKIP() << "no image/ct_dicom_series in the test data; set KIBAN_TEST_DATA";
  const std::string whole = read_text(std::filesystem::directory_iterator(*series)->path());
  std::mt19937 generator(3);
  for (int round = 0; round < 40; ++round) {
    std::string broken = whole;
    for (int k = 0; k < 20; ++k) broken[broken.size() - 1 - generator() % 100000] = static_cast<char>(generator());
    refusal_of(scratch_.write("broken.dcm", broken));  // or read as other pixels: nothing in it is a check
    EXPECT_NE(refusal_of(scratch_.write("short.dcm", whole.substr(0, whole.size() - 1 - generator() % 150000))),
              "was read");
  }
}

TEST_F(DicomSeries, ARealOneIsReadAsItIs) {
  const auto series = test_data("image/ct_dicom_series");
  if (!series) GTEST_SKIP() << "no image/ct_dicom_series in the test data; set KIBAN_TEST_DATA";
  io::ImageReader reader(*series);
  EXPECT_EQ(reader.grid().shape, (Shape<3>{20, 512, 512}));
  EXPECT_EQ(reader.grid().spacing, (Vec3{0.9765625, 0.9765625, 2}));
  EXPECT_EQ(reader.voxel_type(), VoxelType::int16);
  const VoxelVolume volume = io::read_voxels(reader, VoxelType::int16);
  const auto view = volume.values.span<std::int16_t>().host();
  EXPECT_EQ(view(0, 0, 0), -1024);
  EXPECT_NEAR(view(10, 300, 256), 40, 120);  // within the patient
}

}  // namespace
}  // namespace kiban::test
