#include "io/hdf5/hdf5_image.hpp"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/io/scratch.hpp"

namespace kiban::io {
namespace {

using test::expect_input_error;
using test::Scratch;

constexpr const char* kVoxels = "/ITKImage/0/VoxelData";

/// An image whose voxels are `put` in another way, by a test that knows HDF5.
std::filesystem::path image_with(const Scratch& scratch, const std::string& name,
                                 const std::function<void(hid_t file)>& put) {
  const std::filesystem::path path = scratch.write(name, "");
  std::vector<std::int16_t> values(2 * 3 * 4, 7);
  Grid grid;
  grid.shape = {2, 3, 4};
  EXPECT_TRUE(
      write_hdf5_image(path, grid, ConstVoxelSpan(static_cast<const std::int16_t*>(values.data()), grid.shape)));
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  put(file);
  EXPECT_GE(H5Fclose(file), 0);
  return path;
}

void put_dataset(hid_t file, const std::function<void(hid_t creation)>& choose) {
  EXPECT_GE(H5Ldelete(file, kVoxels, H5P_DEFAULT), 0);
  const hsize_t shape[3] = {2, 3, 4};
  const hid_t space = H5Screate_simple(3, shape, nullptr), creation = H5Pcreate(H5P_DATASET_CREATE);
  choose(creation);
  const hid_t dataset = H5Dcreate2(file, kVoxels, H5T_NATIVE_INT16, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  EXPECT_GE(dataset, 0);
  H5Dclose(dataset);
  H5Pclose(creation);
  H5Sclose(space);
}

TEST(Hdf5Image, ReadsWhatItWrote) {
  const Scratch scratch;
  const Hdf5Image image(image_with(scratch, "image.h5", [](hid_t) {}));
  EXPECT_EQ(image.grid().shape, (Shape<3>{2, 3, 4}));
  std::vector<double> values(24);
  image.read(0, 2, values.data());
  EXPECT_EQ(values, std::vector<double>(24, 7));
}

// A file handed in from elsewhere could else name any file that the engine may read.
TEST(Hdf5Image, VoxelsOfOtherFilesAreRefused) {
  const Scratch scratch;
  const std::filesystem::path other = image_with(scratch, "other.h5", [](hid_t) {});
  const auto expect_refused = [&](const char* name, const char* why, const std::function<void(hid_t)>& put) {
    const std::filesystem::path path = image_with(scratch, name, put);
    expect_input_error([&] { Hdf5Image image(path); }, {name, "VoxelData", why});
  };
  expect_refused("external_link.h5", "is a link", [&](hid_t file) {
    EXPECT_GE(H5Ldelete(file, kVoxels, H5P_DEFAULT), 0);
    EXPECT_GE(H5Lcreate_external(other.c_str(), kVoxels, file, kVoxels, H5P_DEFAULT, H5P_DEFAULT), 0);
  });
  expect_refused("soft_link.h5", "is a link", [](hid_t file) {
    EXPECT_GE(H5Lmove(file, kVoxels, file, "/ITKImage/0/Moved", H5P_DEFAULT, H5P_DEFAULT), 0);
    EXPECT_GE(H5Lcreate_soft("/ITKImage/0/Moved", file, kVoxels, H5P_DEFAULT, H5P_DEFAULT), 0);
  });
  expect_refused("virtual.h5", "other files", [&](hid_t file) {
    put_dataset(file, [&](hid_t creation) {
      const hsize_t shape[3] = {2, 3, 4};
      const hid_t space = H5Screate_simple(3, shape, nullptr);
      EXPECT_GE(H5Pset_virtual(creation, space, other.c_str(), kVoxels, space), 0);
      H5Sclose(space);
    });
  });
  const std::filesystem::path raw = scratch.write("raw.bin", std::string(48, 'x'));
  expect_refused("external_storage.h5", "other files", [&](hid_t file) {
    put_dataset(file, [&](hid_t creation) { EXPECT_GE(H5Pset_external(creation, raw.c_str(), 0, 48), 0); });
  });
}

TEST(Hdf5Image, AGroupThatIsALinkIsRefused) {
  const Scratch scratch;
  const std::filesystem::path other = image_with(scratch, "other.h5", [](hid_t) {});
  const std::filesystem::path path = image_with(scratch, "group.h5", [&](hid_t file) {
    EXPECT_GE(H5Ldelete(file, "/ITKImage/0", H5P_DEFAULT), 0);
    EXPECT_GE(H5Lcreate_external(other.c_str(), "/ITKImage/0", file, "/ITKImage/0", H5P_DEFAULT, H5P_DEFAULT), 0);
  });
  expect_input_error([&] { Hdf5Image image(path); }, {"group.h5", "/ITKImage/0", "is a link"});
}

}  // namespace
}  // namespace kiban::io
