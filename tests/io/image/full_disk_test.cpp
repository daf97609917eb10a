#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io/geometry/rtk_xml.hpp"
#include "io/hdf5/exchange_file.hpp"
#include "io/image/image_file.hpp"
#include "io/image/preview.hpp"
#include "tests/io/image/pattern.hpp"
#include "tests/io/scratch.hpp"

namespace kiban::io {
namespace {

using Names = std::vector<std::string>;

const Shape<3> shape{40, 64, 64};  // 640 KiB of floats

// Everything that io writes, larger than what `folder` has room for: each fails with `words` and leaves `left`.
void expect_nothing_left(const test::Scratch& scratch, const std::vector<std::string>& words) {
  const Names left = scratch.names();
  const auto values = test::pattern(shape);
  Grid grid;
  grid.shape = shape;
  const auto refuse = [&](const std::string& name, const std::function<void(const std::filesystem::path&)>& write) {
    SCOPED_TRACE(name);
    std::vector<std::string> expected = words;
    expected.push_back(name);
    test::expect_input_error([&] { write(scratch / name); }, expected);
    EXPECT_EQ(scratch.names(), left);
  };
  for (const char* name : {"v.mha", "v.nrrd", "v.nii", "v.nii.gz", "v.tif", "v.h5"}) {
    refuse(name, [&](const auto& path) { write_image(path, grid, values.span()); });
    refuse(name, [&](const auto& path) {
      ImageWriter writer(path, grid);
      for (std::int64_t slice = 0; slice < 40; ++slice) writer.write(slice, values.span().slice(slice, slice + 1));
      writer.commit();
    });
  }
  refuse("s.h5", [&](const auto& path) { write_exchange(path, values.span(), {}, {}, {}); });
  refuse("g.xml", [&](const auto& path) {
    CircularView view;
    view.source_to_isocentre_mm = 1000;
    CircularGeometry geometry(4000, view);
    write_rtk_xml(path, geometry);
  });
}

// Room for a header and little more. Needs root; skipped where a file system cannot be mounted.
TEST(FullDisk, FailsWithOneLineAndLeavesNothing) {
  const test::Scratch scratch;
  if (mount("tmpfs", scratch.folder().c_str(), "tmpfs", 0, "size=256k") != 0)
    GTEST_SKIP() << "no permission to mount a small disk; FileSizeLimit covers the same paths";
  expect_nothing_left(scratch, {"the disk is full", "free space"});
  EXPECT_EQ(umount(scratch.folder().c_str()), 0);
}

TEST(FileSizeLimit, FailsWithOneLineAndLeavesNothing) {
  const test::Scratch scratch;
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit tight = before;
  tight.rlim_cur = 200 << 10;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  expect_nothing_left(scratch, {"limit on file sizes"});
  setrlimit(RLIMIT_FSIZE, &before);
}

// The space is taken when the file is opened: the user learns before the work that the disk is too small.
TEST(FullDisk, IsKnownBeforeTheWork) {
  const test::Scratch scratch;
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit tight = before;
  tight.rlim_cur = 200 << 10;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  Grid grid;
  grid.shape = shape;
  for (const char* name : {"v.mha", "v.nrrd", "v.nii", "v.nii.gz", "v.tif", "v.h5"})
    test::expect_input_error([&] { ImageWriter(scratch / name, grid); }, {name, "limit on file sizes"});
  EXPECT_TRUE(scratch.names().empty());
  setrlimit(RLIMIT_FSIZE, &before);
}

}  // namespace
}  // namespace kiban::io
