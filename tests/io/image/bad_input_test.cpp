#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <functional>

#include "io/image/image_file.hpp"
#include "tests/io/image/pattern.hpp"
#include "tests/io/scratch.hpp"

namespace kiban::io {
namespace {

using test::expect_input_error;
using test::Scratch;
using Words = std::vector<std::string>;

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

template <class T>
std::string patched(std::string bytes, std::size_t offset, T value) {
  std::string raw(sizeof(T), '\0');
  std::memcpy(raw.data(), &value, sizeof(T));
  return bytes.replace(offset, sizeof(T), raw);
}

std::string gzipped(const std::string& bytes) {
  const Scratch scratch;
  gzFile file = gzopen((scratch / "g").c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  return test::content_of(scratch / "g");
}

std::string image_bytes(const std::string& extension, const Shape<3>& shape = {4, 3, 2}) {
  const Scratch scratch;
  Grid grid;
  grid.shape = shape;
  write_image(scratch / ("v" + extension), grid, test::pattern(shape).span());
  return test::content_of(scratch / ("v" + extension));
}

// Reading `bytes` under `name` fails with an error that names the file and says `words`.
void expect_refused(const std::string& name, const std::string& bytes, Words words) {
  SCOPED_TRACE(name + ": " + words[0]);
  const Scratch scratch;
  words.push_back(name);
  expect_input_error([&] { read_volume(scratch.write(name, bytes)); }, words);
  EXPECT_EQ(scratch.names(), Words{name});
}

const char* const mha =
    "ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
    "Offset = 0 0 0\nElementSpacing = 1 1 1\nDimSize = 2 3 4\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n";
const std::string pixels(24, 'x');
const std::string good_mha = mha + pixels;

TEST(BadName, IsRefused) {
  const Scratch scratch;
  expect_input_error([&] { read_volume(scratch / "missing.mha"); }, {"missing.mha", "no such file"});
  expect_input_error([&] { read_volume(scratch.folder()); }, {scratch.folder().string(), "no TIFF file"});
  std::filesystem::create_directory(scratch / "folder.mha");
  expect_input_error([&] { read_volume(scratch / "folder.mha"); }, {"folder.mha", "folder"});
  expect_input_error([&] { read_volume("/dev/zero"); }, {"/dev/zero", "extension"});
  expect_refused("image.jpg", good_mha, {"extension", ".mha"});
  expect_refused("image", good_mha, {"extension"});
}

TEST(BadContent, IsRefusedInEveryFormat) {
  for (const std::string extension : {".mha", ".mhd", ".nrrd", ".nhdr", ".nii", ".nii.gz", ".tif", ".tiff", ".h5"}) {
    expect_refused("v" + extension, "", {"empty"});
    expect_refused("v" + extension, std::string(1000, '\0'), {"does not begin as one"});
    expect_refused("v" + extension, std::string(100, '\n'), {"does not begin as one"});
  }
}

TEST(Mislabelled, SaysWhatItIs) {
  expect_refused("v.nrrd", good_mha, {"named as NRRD", "holds MetaImage"});
  expect_refused("v.mha", image_bytes(".nii"), {"named as MetaImage", "holds NIfTI"});
  expect_refused("v.nii", image_bytes(".nii.gz"), {"named as NIfTI", "holds gzip"});
  expect_refused("v.nii.gz", image_bytes(".nii"), {"named as gzip", "holds NIfTI"});
  expect_refused("v.nii.gz", gzipped(good_mha), {"gzip stream", "truncated"});
  expect_refused("v.nii.gz", gzipped(std::string(1000, 'x')), {"not a NIfTI-1 file"});
  expect_refused("v.nii", image_bytes(".tif"), {"holds TIFF"});
  expect_refused("v.tif", image_bytes(".nrrd"), {"holds NRRD"});
  expect_refused("v.mha", "\x89HDF\r\n\x1a\n" + pixels, {"holds HDF5"});
  expect_refused("v.mha", std::string(128, '\0') + "DICM" + pixels, {"holds DICOM"});
}

TEST(Truncated, IsRefusedAtEveryLength) {
  for (const std::string extension : {".mha", ".nrrd", ".nii", ".nii.gz", ".tif", ".h5"}) {
    const std::string whole = image_bytes(extension, {40, 30, 20});
    const Scratch scratch;
    for (std::size_t length = 1; length < whole.size(); length += 1 + whole.size() / 61) {
      SCOPED_TRACE(extension + " cut to " + std::to_string(length));
      expect_input_error([&] { read_volume(scratch.write("v" + extension, whole.substr(0, length))); },
                         {"v" + extension});
    }
    SCOPED_TRACE(extension + " without its last byte");
    expect_input_error([&] { read_volume(scratch.write("v" + extension, whole.substr(0, whole.size() - 1))); },
                       {"v" + extension});
    EXPECT_EQ(read_volume(scratch.write("v" + extension, whole)).grid.nx(), 20);
  }
}

TEST(MetaImageHeader, EveryFieldIsChecked) {
  const auto with = [](const std::string& from, const std::string& to) { return replaced(good_mha, from, to); };
  const Scratch scratch;
  EXPECT_EQ(read_volume(scratch.write("good.mha", good_mha)).grid.shape, (Shape<3>{4, 3, 2}));
  const std::vector<std::pair<std::string, Words>> cases{
      {with("DimSize = 2 3 4", "DimSize = 10000 10000 10000"), {"10000 x 10000 x 10000", "holds 24"}},
      {with("DimSize = 2 3 4", "DimSize = 3000000000 3000000000 3000000000"), {"cannot be", "sizes"}},
      {with("DimSize = 2 3 4", "DimSize = 2 -3 4"), {"2 x -3 x 4"}},
      {with("DimSize = 2 3 4", "DimSize = 2 0 4"), {"2 x 0 x 4"}},
      {with("DimSize = 2 3 4", "DimSize = 2.5 3 4"), {"DimSize", "whole"}},
      {with("DimSize = 2 3 4", "DimSize = 2 3"), {"DimSize", "3 finite numbers"}},
      {with("DimSize = 2 3 4", "DimSize = a b c"), {"DimSize"}},
      {with("DimSize = 2 3 4\n", ""), {"does not begin as one"}},
      {with("NDims = 3", "NDims = 1000000"), {"NDims"}},
      {with("NDims = 3", "NDims = -1"), {"NDims"}},
      {with("NDims = 3", "NDims = 0"), {"NDims"}},
      {with("ElementSpacing = 1 1 1", "ElementSpacing = 1 0 1"), {"spacing", "axis 1"}},
      {with("ElementSpacing = 1 1 1", "ElementSpacing = 1 -1 1"), {"spacing", "axis 1"}},
      {with("ElementSpacing = 1 1 1", "ElementSpacing = 1 nan 1"), {"ElementSpacing", "finite"}},
      {with("ElementSpacing = 1 1 1", "ElementSpacing = 1 1e999 1"), {"ElementSpacing", "finite"}},
      {with("Offset = 0 0 0", "Offset = 0 inf 0"), {"Offset", "finite"}},
      {with("TransformMatrix = 1 0 0 0 1 0 0 0 1", "TransformMatrix = 1 0.5 0 0 1 0 0 0 1"),
       {"direction", "right angles"}},
      {with("TransformMatrix = 1 0 0 0 1 0 0 0 1", "TransformMatrix = 0 0 0 0 0 0 0 0 0"), {"direction"}},
      {with("TransformMatrix = 1 0 0 0 1 0 0 0 1", "TransformMatrix = 1 0 0"), {"TransformMatrix", "9 finite"}},
      {with("MET_UCHAR", "MET_NONSENSE"), {"ElementType", "MET_NONSENSE"}},
      {with("MET_UCHAR", "MET_UCHAR_ARRAY"), {"ElementType"}},
      {with("ElementType", "ElementNumberOfChannels = 3\nElementType"), {"72 bytes", "holds 24"}},
      {with("ElementType", "ElementNumberOfChannels = 3\nElementType") + std::string(48, 'x'),
       {"3 numbers each", "channel"}},
      {with("BinaryData = True", "BinaryData = False"), {"BinaryData", "binary"}},
      {with("CompressedData = False", "CompressedData = True\nCompressedDataSize = 1000000"), {"CompressedDataSize"}},
      {with("CompressedData = False", "CompressedData = True\nCompressedDataSize = -5"), {"CompressedDataSize"}},
      {with("LOCAL", "LIST"), {"ElementDataFile"}},
      {with("LOCAL", "slice%03d.raw"), {"ElementDataFile"}},
      {with("ElementType", "HeaderSize = -7\nElementType"), {"HeaderSize"}},
      {with("ElementType", "DimSize = 2 3 4\nElementType"), {"DimSize", "twice"}},
      {with("ElementType", "no separator\nElementType"), {"no separator"}},
      {with("ElementType", std::string(2000, 'k') + " = 1\nElementType"), {"key = value"}},
      {with("ElementType", "ElementName = " + std::string(2000, 'v') + "\nElementType"), {"too long"}},
      {with("ElementDataFile = LOCAL\n", ""), {"ElementDataFile"}},
  };
  for (const auto& [bytes, words] : cases) expect_refused("v.mha", bytes, words);

  scratch.write("v.mhd", replaced(mha, "LOCAL", "missing.raw"));
  expect_input_error([&] { read_volume(scratch / "v.mhd"); }, {"missing.raw", "no such file"});
}

TEST(MetaImageHeader, FourDimensionsAndOneAreRefused) {
  const std::string head = "BinaryData = True\nElementType = MET_UCHAR\n";
  expect_refused("v.mha", "NDims = 4\n" + head + "DimSize = 2 3 2 2\nElementDataFile = LOCAL\n" + pixels,
                 {"4 dimensions"});
  expect_refused("v.mha", "NDims = 1\n" + head + "DimSize = 24\nElementDataFile = LOCAL\n" + pixels, {"1 dimension"});
}

TEST(MetaImageHeader, BrokenCompressionIsRefused) {
  expect_refused("v.mha",
                 replaced(good_mha, "CompressedData = False", "CompressedData = True\nCompressedDataSize = 24"),
                 {"v.mha"});
}

TEST(NrrdHeader, EveryFieldIsChecked) {
  const std::string good =
      "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 3 4\nspacings: 1 1 1\nencoding: raw\n\n" + pixels;
  const auto with = [&](const std::string& from, const std::string& to) { return replaced(good, from, to); };
  const Scratch scratch;
  EXPECT_EQ(read_volume(scratch.write("good.nrrd", good)).grid.shape, (Shape<3>{4, 3, 2}));
  const std::vector<std::pair<std::string, Words>> cases{
      {with("sizes: 2 3 4", "sizes: 10000 10000 10000"), {"10000 x 10000 x 10000"}},
      {with("sizes: 2 3 4", "sizes: 2 -3 4"), {"2 x -3 x 4"}},
      {with("sizes: 2 3 4", "sizes: 2 3"), {"dimension and sizes"}},
      {with("sizes: 2 3 4\n", ""), {"sizes"}},
      {with("dimension: 3", "dimension: 100000"), {"dimension"}},
      {with("type: uchar", "type: block"), {"type", "block"}},
      {with("type: uchar\n", ""), {"type"}},
      {with("encoding: raw", "encoding: hex"), {"encoding", "hex"}},
      {with("encoding: raw", "encoding: gzip"), {"v.nrrd"}},
      {with("spacings: 1 1 1", "spacings: 1 0 1"), {"v.nrrd"}},
      {with("spacings: 1 1 1", "spacings: 1 -2 1"), {"spacing"}},
      {with("encoding: raw", "data file: LIST\nencoding: raw"), {"data file"}},
      {with("encoding: raw", "data file: s%03d.raw 1 9 1\nencoding: raw"), {"data file"}},
      {with("encoding: raw", "byte skip: -2\nencoding: raw"), {"byte skip"}},
      {with("encoding: raw", "line skip: 2\nencoding: raw"), {"line skip"}},
      {with("sizes: 2 3 4", "kinds: RGB-color domain domain\nsizes: 3 2 4"), {"3 numbers each", "channel"}},
      {replaced(with("dimension: 3", "dimension: 4"), "sizes: 2 3 4\nspacings: 1 1 1", "sizes: 2 3 2 2"),
       {"4 dimensions"}},
      {with("spacings: 1 1 1", "space: left-posterior-superior\nspace directions: (1,0,0) (1,1,0) (0,0,1)"),
       {"direction", "right angles"}},
  };
  for (const auto& [bytes, words] : cases) expect_refused("v.nrrd", bytes, words);
}

TEST(NiftiHeader, EveryFieldIsChecked) {
  const std::string good = image_bytes(".nii");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto sheared = [&] {  // sform with axes that are not at right angles, and no qform to fall back to
    std::string bytes = patched<std::int16_t>(good, 252, 0);
    return patched(bytes, 284, 0.7f);
  };
  const std::vector<std::pair<std::string, Words>> cases{
      {patched<std::int16_t>(good, 40, 0), {"dim[0]"}},
      {patched<std::int16_t>(good, 40, 8), {"dim[0]"}},
      {patched<std::int16_t>(good, 42, -2), {"-2 x 3 x 4"}},
      {patched<std::int16_t>(patched<std::int16_t>(good, 42, 32767), 44, 32767), {"32767 x 32767 x 4"}},
      {patched<std::int16_t>(good, 70, 128), {"datatype", "RGB"}},
      {patched<std::int16_t>(good, 70, 32), {"datatype", "complex"}},
      {patched<std::int16_t>(good, 70, 12345), {"datatype"}},
      {patched<std::int16_t>(good, 72, 8), {"bitpix"}},
      {patched(good, 80, 0.f), {"pixdim[1]"}},
      {patched(good, 84, -1.f), {"pixdim[2]"}},
      {patched(good, 88, nan), {"pixdim", "finite"}},
      {patched(good, 108, 0.f), {"vox_offset"}},
      {patched(good, 108, nan), {"vox_offset"}},
      {patched(good, 108, 1e30f), {"vox_offset"}},
      {patched(good, 108, 400.f), {"truncated"}},
      {patched(good, 256, nan), {"qform"}},
      {patched(good, 280, nan), {"sform"}},
      {patched(good, 284, 3.4e38f), {"sform", "beyond"}},
      {patched(good, 284, 1e-44f), {"sform"}},
      {patched(good, 0, 12345), {"sizeof_hdr"}},
      {patched(good, 344, 'x'), {"does not begin as one"}},
      {replaced(good, std::string("n+1\0", 4), std::string("ni1\0", 4)), {"one piece"}},
      {patched<std::int32_t>(good, 4, 0x00322b6e), {"NIfTI-2"}},
      {sheared(), {"v.nii"}},
  };
  for (const auto& [bytes, words] : cases) {
    if (words[0] != "NIfTI-2") expect_refused("v.nii", bytes, words);
  }
  // A gzip file of 400 bytes cannot hold 32767^3 floats.
  std::string huge = patched<std::int16_t>(good, 42, 32767);
  huge = patched<std::int16_t>(patched<std::int16_t>(huge, 44, 32767), 46, 32767);
  expect_refused("v.nii.gz", gzipped(huge), {"32767 x 32767 x 32767", "compressed"});
}

TEST(NiftiHeader, FourDimensionsAreRefusedUnlessTheFourthIsOne) {
  std::string bytes = image_bytes(".nii");
  bytes = patched<std::int16_t>(patched<std::int16_t>(bytes, 40, 4), 48, 1);
  const Scratch scratch;
  EXPECT_EQ(read_volume(scratch.write("v.nii", bytes)).grid.shape, (Shape<3>{4, 3, 2}));
  bytes = patched<std::int16_t>(bytes, 48, 2) + std::string(96, '\0');
  expect_refused("v.nii", bytes, {"4 dimensions"});
}

// Offset of the value of `tag` in the first directory of a little-endian TIFF.
std::size_t tiff_value(const std::string& bytes, int tag) {
  std::uint32_t at = 0;
  std::memcpy(&at, bytes.data() + 4, 4);
  std::uint16_t count = 0;
  std::memcpy(&count, bytes.data() + at, 2);
  for (std::size_t entry = at + 2; entry < at + 2 + 12u * count; entry += 12) {
    std::uint16_t found = 0;
    std::memcpy(&found, bytes.data() + entry, 2);
    if (found == tag) return entry + 8;
  }
  ADD_FAILURE() << "no tag " << tag;
  return 0;
}

TEST(TiffHeader, EveryTagIsChecked) {
  const std::string good = image_bytes(".tif", {1, 3, 2});
  const auto with = [&](int tag, std::uint16_t value) { return patched(good, tiff_value(good, tag), value); };
  std::uint32_t directory = 0;
  std::memcpy(&directory, good.data() + 4, 4);
  std::uint16_t entries = 0;
  std::memcpy(&entries, good.data() + directory, 2);
  const std::vector<std::pair<std::string, Words>> cases{
      {with(256, 60000), {"page 0", "720000 bytes", "holds 24"}},
      {with(257, 60000), {"page 0", "truncated"}},
      {with(256, 0), {"0 x 3"}},
      {with(258, 64), {"64 bits"}},
      {with(258, 12), {"12 bits"}},
      {with(339, 2), {"32 bits", "SampleFormat 2"}},
      {with(259, 7), {"Compression is 7"}},
      {with(262, 2), {"colours"}},
      {with(277, 3), {"colours", "3 samples"}},
      {with(274, 6), {"Orientation"}},
      {patched<std::uint32_t>(good, 4, 0x7fffffff), {"outside the file"}},
      {patched<std::uint32_t>(good, directory + 2 + 12u * entries, directory), {"loop"}},
      {patched<std::uint16_t>(good, directory, 0), {"no entries"}},
      {patched<std::uint16_t>(good, directory, 60000), {"too many"}},
      {patched<std::uint16_t>(good, tiff_value(good, 256) - 6, 12), {"tag 256"}},
      {patched<std::uint32_t>(good, tiff_value(good, 279), 0x7fffffff), {"strip"}},
      {patched<std::uint32_t>(good, tiff_value(good, 273), 0xfffffff0), {"strip"}},
  };
  for (const auto& [bytes, words] : cases) expect_refused("v.tif", bytes, words);
}

TEST(BadOutput, IsRefusedBeforeAnythingIsWritten) {
  const Scratch scratch;
  Grid grid;
  grid.shape = {2, 2, 2};
  const auto values = test::pattern(grid.shape);
  const auto refuse = [&](const std::string& name, const Grid& g, const Words& words) {
    SCOPED_TRACE(name);
    expect_input_error([&] { ImageWriter(scratch / name, g); }, words);
  };
  refuse("v.mhd", grid, {"v.mhd", ".mha"});
  refuse("v.nhdr", grid, {"v.nhdr", ".nrrd"});
  refuse("v.jpg", grid, {"v.jpg", "extension"});
  refuse("missing/v.mha", grid, {"missing/v.mha", "does not exist"});
  Grid bad = grid;
  bad.shape[2] = 40000;
  refuse("v.nii", bad, {"32767", "40000"});
  bad.shape = {70000, 1, 1};
  refuse("v.tif", bad, {"65535", "70000"});
  bad = grid;
  bad.spacing[1] = std::numeric_limits<double>::quiet_NaN();
  refuse("v.mha", bad, {"spacing"});
  EXPECT_TRUE(scratch.names().empty());
}

}  // namespace
}  // namespace kiban::io
