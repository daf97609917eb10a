#include "io/hdf5/exchange_file.hpp"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <array>
#include <cstring>
#include <limits>
#include <thread>

#include "tests/io/image/pattern.hpp"
#include "tests/io/scratch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/test_data.hpp"

namespace kiban::io {
namespace {

using test::expect_input_error;
using test::pattern;
using test::Scratch;
using Words = std::vector<std::string>;

bool same_bits(Span<const float, 3> a, Span<const float, 3> b) {
  return a.shape() == b.shape() && std::memcmp(a.host().data, b.host().data, a.bytes()) == 0;
}

// An HDF5 file that a test builds dataset by dataset.
class Builder {
 public:
  explicit Builder(const std::filesystem::path& path)
      : file_(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)),
        group_(H5Gcreate2(file_, "exchange", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)) {}
  ~Builder() {
    H5Gclose(group_);
    H5Fclose(file_);
  }

  template <class T>
  Builder& add(const char* name, std::vector<hsize_t> shape, hid_t type, const std::vector<T>& values,
               std::vector<hsize_t> chunk = {}, bool deflated = false) {
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    if (!chunk.empty()) H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data());
    if (deflated) H5Pset_deflate(creation, 1);
    const hid_t dataset = H5Dcreate2(group_, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (!values.empty()) H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    H5Dclose(dataset);
    H5Pclose(creation);
    H5Sclose(space);
    return *this;
  }

  /// A dataset of floats that lies in `/exchange/NAME` of another file.
  Builder& add_virtual(const char* name, std::vector<hsize_t> shape, const char* other_file) {
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_virtual(creation, space, other_file, (std::string("/exchange/") + name).c_str(), space);
    H5Dclose(H5Dcreate2(group_, name, H5T_NATIVE_FLOAT, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    H5Pclose(creation);
    H5Sclose(space);
    return *this;
  }

  Builder& unit(const char* name, const char* unit) {
    const hid_t dataset = H5Dopen2(group_, name, H5P_DEFAULT), type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, H5T_VARIABLE);
    const hid_t attribute = H5Acreate2(dataset, "units", type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, type, &unit);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(dataset);
    return *this;
  }

 private:
  hid_t file_, group_;
};

const std::vector<float> frames(24, 1.5f);  // 2 x 3 x 4

TEST(Exchange, KeepsAScan) {
  const Scratch scratch;
  const auto data = pattern({7, 3, 5}), white = pattern({2, 3, 5}), dark = pattern({1, 3, 5});
  const std::vector<double> angles{0, 1.0 / 3, -5, 180, 1e-9, 359.9, 720};
  write_exchange(scratch / "s.h5", data.span(), white.span(), dark.span(), angles);
  EXPECT_EQ(scratch.names(), Words{"s.h5"});
  const ExchangeReader reader(scratch / "s.h5");
  EXPECT_EQ(reader.shape(), (Shape<3>{7, 3, 5}));
  EXPECT_EQ(reader.flat_count(), 2);
  EXPECT_EQ(reader.dark_count(), 1);
  EXPECT_EQ(reader.angles_deg(), angles);
  EXPECT_TRUE(same_bits(reader.flats().span(), white.span()));
  EXPECT_TRUE(same_bits(reader.darks().span(), dark.span()));
  Array<float, 3> part({3, 3, 5});
  for (const std::int64_t begin : {4, 0, 2}) {
    reader.read(begin, begin + 3, part.span());
    EXPECT_TRUE(same_bits(part.span(), data.span().slice(begin, begin + 3))) << begin;
  }
  EXPECT_THROW(reader.read(5, 8, part.span()), Error);
}

TEST(Exchange, FlatsDarksAndAnglesMayBeAbsent) {
  const Scratch scratch;
  write_exchange(scratch / "s.h5", pattern({2, 3, 4}).span(), {}, {}, {});
  const ExchangeReader reader(scratch / "s.h5");
  EXPECT_EQ(reader.flat_count(), 0);
  EXPECT_EQ(reader.dark_count(), 0);
  EXPECT_FALSE(reader.has_angles());
  expect_input_error([&] { reader.angles_deg(); }, {"s.h5", "/exchange/theta", "degrees", "2 views"});
  expect_input_error([&] { reader.flats(); }, {"s.h5", "data_white"});
  expect_input_error([&] { reader.darks(); }, {"s.h5", "data_dark"});
}

template <class T>
void expect_converted(hid_t type) {
  const Scratch scratch;
  const std::vector<T> values{0, 1, 100, std::numeric_limits<T>::max()};
  Builder(scratch / "s.h5").add("data", {2, 2, 1}, type, values, {1, 2, 1}, true);
  Array<float, 3> read({2, 2, 1});
  ExchangeReader(scratch / "s.h5").read(0, 2, read.span());
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(read.host().data[i], static_cast<float>(values[i]));
}

TEST(Exchange, ConvertsEveryType) {
  expect_converted<std::int8_t>(H5T_NATIVE_INT8);
  expect_converted<std::uint8_t>(H5T_NATIVE_UINT8);
  expect_converted<std::int16_t>(H5T_NATIVE_INT16);
  expect_converted<std::uint16_t>(H5T_NATIVE_UINT16);
  expect_converted<std::int32_t>(H5T_NATIVE_INT32);
  expect_converted<std::uint32_t>(H5T_NATIVE_UINT32);
  expect_converted<std::int64_t>(H5T_NATIVE_INT64);
  expect_converted<float>(H5T_NATIVE_FLOAT);
}

TEST(Exchange, RespectsTheUnitOfTheAngles) {
  const Scratch scratch;
  const auto angles = [&](const char* unit) {
    {
      Builder builder(scratch / "s.h5");
      builder.add("data", {2, 3, 4}, H5T_NATIVE_FLOAT, frames);
      builder.add("theta", {2}, H5T_NATIVE_DOUBLE, std::vector<double>{0, 3.14159265358979323846});
      if (*unit) builder.unit("theta", unit);
    }
    return ExchangeReader(scratch / "s.h5").angles_deg();
  };
  EXPECT_DOUBLE_EQ(angles("rad")[1], 180);
  EXPECT_DOUBLE_EQ(angles("radians")[1], 180);
  EXPECT_DOUBLE_EQ(angles("deg")[1], 3.14159265358979323846);
  EXPECT_DOUBLE_EQ(angles("")[1], 3.14159265358979323846);
  expect_input_error([&] { angles("gon"); }, {"theta", "\"gon\"", "units"});
}

TEST(Exchange, RefusesWhatIsNotAScan) {
  const Scratch scratch;
  const auto refused = [&](const std::function<void(Builder&)>& build, Words words) {
    {
      Builder builder(scratch / "s.h5");
      build(builder);
    }
    words.push_back("s.h5");
    SCOPED_TRACE(words[0]);
    expect_input_error([&] { ExchangeReader(scratch / "s.h5"); }, words);
  };
  const auto with_data = [](Builder& b) -> Builder& { return b.add("data", {2, 3, 4}, H5T_NATIVE_FLOAT, frames); };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  refused([](Builder&) {}, {"/exchange/data", "check"});
  refused([](Builder& b) { b.add("data", {6, 4}, H5T_NATIVE_FLOAT, frames); }, {"2 dimensions"});
  refused([](Builder& b) { b.add("data", {1, 2, 3, 4}, H5T_NATIVE_FLOAT, frames); }, {"4 dimensions"});
  refused(
      [](Builder& b) {
        b.add("data", {0, 3, 4}, H5T_NATIVE_FLOAT, std::vector<float>{});
      },
      {"axis 0", "0 elements"});
  refused([](Builder& b) { b.add("data", {2, 3, 4}, H5T_NATIVE_FLOAT, std::vector<float>{}); }, {"0 are stored"});
  refused(
      [](Builder& b) {
        b.add("data", {10000, 10000, 10000}, H5T_NATIVE_FLOAT, std::vector<float>{}, {1, 10, 10});
      },
      {"4000000000000 bytes", "0 are stored"});
  refused(
      [](Builder& b) {
        b.add("data", {1ull << 40, 1ull << 40, 4}, H5T_NATIVE_FLOAT, std::vector<float>{}, {1, 1, 4});
      },
      {"/exchange/data", "shape"});
  refused(
      [&](Builder& b) {
        with_data(b).add("data_white", {2, 4, 3}, H5T_NATIVE_FLOAT, frames);
      },
      {"data_white", "[2,4,3]"});
  refused([&](Builder& b) { with_data(b).add("data_dark", {24}, H5T_NATIVE_FLOAT, frames); }, {"data_dark", "[24]"});
  refused([&](Builder& b) { with_data(b).add("theta", {3}, H5T_NATIVE_FLOAT, std::vector<float>(3)); },
          {"theta", "2 views"});
  refused([&](Builder& b) { with_data(b).add("theta", {}, H5T_NATIVE_FLOAT, std::vector<float>(1)); },
          {"theta", "2 views"});
  refused(
      [&](Builder& b) {
        with_data(b).add("theta", {2}, H5T_NATIVE_FLOAT, std::vector<float>{0, nan});
      },
      {"theta", "view 1"});
  refused([](Builder& b) { b.add("data", {2, 3, 4}, H5T_STD_REF_OBJ, std::vector<std::int64_t>(24)); }, {"integers"});
  expect_input_error([&] { ExchangeReader(scratch / "missing.h5"); }, {"missing.h5", "no such file"});
  expect_input_error([&] { ExchangeReader(scratch.folder()); }, {"folder"});
  expect_input_error([&] { ExchangeReader(scratch.write("t.h5", "text")); }, {"t.h5", "not an HDF5 file"});
}

TEST(Exchange, OneFrameMayStandWithoutItsAxis) {
  const Scratch scratch;
  Builder(scratch / "s.h5")
      .add("data", {2, 3, 4}, H5T_NATIVE_FLOAT, frames)
      .add("data_white", {3, 4}, H5T_NATIVE_FLOAT, frames);
  const ExchangeReader reader(scratch / "s.h5");
  EXPECT_EQ(reader.flat_count(), 1);
  EXPECT_EQ(reader.flats().shape(), (Shape<3>{1, 3, 4}));
  EXPECT_EQ(reader.flats().host()(0, 2, 3), 1.5f);
}

TEST(Exchange, RefusesATruncatedFile) {
  const Scratch scratch;
  write_exchange(scratch / "s.h5", pattern({20, 30, 5}).span(), pattern({2, 30, 5}).span(), {},
                 std::vector<double>(20));
  const std::string whole = test::content_of(scratch / "s.h5");
  for (std::size_t length = 1; length < whole.size(); length += 1 + whole.size() / 50) {
    SCOPED_TRACE(length);
    expect_input_error([&] { ExchangeReader(scratch.write("t.h5", whole.substr(0, length))); }, {"t.h5"});
  }
}

TEST(Exchange, RefusesAScanThatWasInterrupted) {
  const Scratch scratch;
  std::vector<float> views(2 * 30 * 40);
  for (std::size_t i = 0; i < views.size(); ++i) views[i] = static_cast<float>(i % 97);
  const auto path = scratch / "s.h5";
  Builder(path).add<float>("data", {2, 30, 40}, H5T_NATIVE_FLOAT, views, {1, 16, 16}, true);
  EXPECT_EQ(ExchangeReader(path).shape(), (Shape<3>{2, 30, 40}));
  {
    // Two views are written and three more were meant to be.
    const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t group = H5Gcreate2(file, "exchange", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const std::array<hsize_t, 3> all{5, 30, 40}, done{2, 30, 40}, start{}, chunk{1, 16, 16};
    const hid_t space = H5Screate_simple(3, all.data(), nullptr), part = H5Screate_simple(3, done.data(), nullptr);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 3, chunk.data());
    H5Pset_deflate(creation, 1);
    const hid_t data = H5Dcreate2(group, "data", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, done.data(), nullptr);
    H5Dwrite(data, H5T_NATIVE_FLOAT, part, space, H5P_DEFAULT, views.data());
    for (const hid_t space_of : {space, part}) H5Sclose(space_of);
    H5Pclose(creation);
    H5Dclose(data);
    H5Gclose(group);
    H5Fclose(file);
  }
  expect_input_error([&] { ExchangeReader reader(path); }, {"/exchange/data", "12 of its 30 chunks", "crop"});
}

TEST(Exchange, RefusesAVirtualScanWhoseFilesAreMissing) {
  const Scratch scratch;
  const auto path = scratch / "virtual.h5";
  Builder(path).add_virtual("data", {2, 3, 4}, "part.h5");
  expect_input_error([&] { ExchangeReader reader(path); }, {"/exchange/data", "part.h5", "missing"});
  Builder(scratch / "part.h5").add<float>("data", {2, 3, 4}, H5T_NATIVE_FLOAT, frames);
  ExchangeReader reader(path);
  Array<float, 3> views({2, 3, 4});
  reader.read(0, 2, views.span());
  EXPECT_EQ(views.host()(1, 2, 3), 1.5f);
}

// HDF5 keeps for each thread whether it prints.
TEST(Exchange, PrintsNothingOnAnyThread) {
  const Scratch scratch;
  write_exchange(scratch / "s.h5", pattern({20, 30, 5}).span(), {}, {}, {});
  const std::string whole = test::content_of(scratch / "s.h5");
  std::thread([&] {
    expect_input_error([&] { ExchangeReader(scratch.write("t.h5", whole.substr(0, whole.size() / 2))); }, {"t.h5"});
  }).join();
}

TEST(RealData, ToothIsAScan) {
  const auto path = test::test_data("ct/tooth.h5");
  if (!path) GTEST_SKIP() << "ct/tooth.h5 is not in the test data";
  const ExchangeReader tooth(*path);
  EXPECT_EQ(tooth.shape(), (Shape<3>{181, 2, 640}));
  EXPECT_EQ(tooth.flat_count(), 10);
  EXPECT_EQ(tooth.dark_count(), 10);
  EXPECT_NEAR(tooth.angles_deg().back(), 180 - 180.0 / 181, 1e-9);
  // A tooth lets less light through than air, and more than a closed shutter.
  const auto mean = [](Span<const float, 3> values) {
    double sum = 0;
    for (std::int64_t i = 0; i < values.size(); ++i) sum += values.host().data[i];
    return sum / static_cast<double>(values.size());
  };
  Array<float, 3> views({181, 2, 640});
  tooth.read(0, 181, views.span());
  EXPECT_GT(mean(tooth.flats().span()), mean(views.span()));
  EXPECT_GT(mean(views.span()), mean(tooth.darks().span()));
}

}  // namespace
}  // namespace kiban::io
