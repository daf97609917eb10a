#include "io/image/gzip.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <iterator>
#include <stdexcept>

#include "io/image/image_file.hpp"
#include "tests/io/image/pattern.hpp"
#include "tests/io/scratch.hpp"

namespace kiban::io {
namespace {

using test::content_of;
using test::Scratch;

std::int64_t threads_of_this_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return std::distance(tasks, {});
}

std::string unzipped(const std::filesystem::path& path) {
  std::string bytes, piece(1 << 16, '\0');
  gzFile file = gzopen(path.c_str(), "rb");
  while (const int count = gzread(file, piece.data(), static_cast<unsigned>(piece.size()))) {
    EXPECT_GT(count, 0) << "broken";
    if (count < 0) break;
    bytes.append(piece, 0, static_cast<std::size_t>(count));
  }
  EXPECT_EQ(gzclose(file), Z_OK);
  return bytes;
}

/// Not a whole number of blocks, and compressible.
std::string some_megabytes() {
  std::string bytes(5'000'001, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * i >> 9);
  return bytes;
}

// First of this program, before anything else has started threads.
TEST(GzipFile, StaysWithinItsThreads) {
  const Scratch scratch;
  const auto plain = scratch.write("plain", some_megabytes());
  const std::int64_t before = threads_of_this_process();
  gzip_file(plain, scratch / "one.gz", "one.gz", Stream(Device{}, 1), {});
  EXPECT_EQ(threads_of_this_process(), before);
  const Grid grid = test::oblique_grid({40, 64, 128});
  ImageWriter writer(scratch / "volume.nii.gz", grid);
  writer.write(0, test::pattern(grid.shape).span());
  writer.finish(1);
  writer.commit();
  EXPECT_EQ(threads_of_this_process(), before);
}

TEST(GzipFile, GivesTheSameBytesOnAnyNumberOfThreads) {
  const Scratch scratch;
  const std::string bytes = some_megabytes();
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{1} << 20, bytes.size()}) {
    const auto plain = scratch.write("plain", bytes.substr(0, length));
    for (const int threads : {1, 2, 3})
      gzip_file(plain, scratch / std::to_string(threads), "out.gz", Stream(Device{}, threads), {});
    EXPECT_EQ(unzipped(scratch / "1"), bytes.substr(0, length));
    EXPECT_EQ(content_of(scratch / "2"), content_of(scratch / "1"));
    EXPECT_EQ(content_of(scratch / "3"), content_of(scratch / "1"));
  }
}

TEST(GzipFile, StopsWhereItIsTold) {
  const Scratch scratch;
  const auto plain = scratch.write("plain", "");
  std::filesystem::resize_file(plain, 100 << 20);
  int asked = 0;
  const auto stop_at_the_second = [&] {
    if (++asked == 2) throw std::runtime_error("stop");
  };
  EXPECT_THROW(gzip_file(plain, scratch / "out.gz", "out.gz", Stream(Device{}, 2), stop_at_the_second),
               std::runtime_error);
  EXPECT_EQ(asked, 2);
}

TEST(ImageWriter, LeavesNothingWhereItsCompressionIsStopped) {
  const Scratch scratch;
  const Grid grid = test::oblique_grid({4, 8, 8});
  {
    ImageWriter writer(scratch / "volume.nii.gz", grid);
    writer.write(0, test::pattern(grid.shape).span());
    EXPECT_THROW(writer.finish(1, [] { throw std::runtime_error("stop"); }), std::runtime_error);
  }
  EXPECT_EQ(scratch.names(), std::vector<std::string>{});
}

TEST(ImageWriter, IsCommittedWithOtherOutputs) {
  const Scratch scratch;
  const Grid grid = test::oblique_grid({4, 8, 8});
  const auto values = test::pattern(grid.shape);
  for (const char* name : {"a.mha", "a.nrrd", "a.nii.gz", "a.tif", "a.h5"}) {
    SCOPED_TRACE(name);
    ImageWriter writer(scratch / name, grid);
    OutputFile geometry(scratch / "g.xml");
    for (std::int64_t z = 3; z >= 0; --z) writer.write(z, values.span().slice(z, z + 1));
    writer.finish();
    EXPECT_FALSE(std::filesystem::exists(scratch / name));
    commit_together({&writer.file(), &geometry});
    EXPECT_EQ(scratch.names(), (std::vector<std::string>{name, "g.xml"}));
    EXPECT_EQ(read_volume(scratch / name).values.host()(2, 3, 4), test::pattern_value(2, 3, 4));
    std::filesystem::remove(scratch / name);
  }
}

}  // namespace
}  // namespace kiban::io
