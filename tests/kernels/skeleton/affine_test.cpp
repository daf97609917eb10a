#include "kernels/skeleton/affine.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/core/error.hpp"
#include "tests/support/compare.hpp"

namespace kiban::skeleton {
namespace {

struct Case {
  Shape<3> shape;
  float scale, offset;
};

/// Sizes around the width of a vector, of a block and of a task; an empty volume.
const Case kCases[] = {{{0, 4, 4}, 2, 1},      {{1, 1, 1}, 2, 1},           {{1, 1, 7}, -0.5F, 3},
                       {{1, 3, 85}, 1.25F, 0}, {{2, 128, 256}, 0.1F, 1e6F}, {{3, 211, 211}, 1e-3F, -7}};

class AffineTest : public testing::TestWithParam<Device> {};

std::vector<float> run(Device device, int threads, const Case& c) {
  Stream stream(device, threads);
  const std::vector<float> values = test::uniform(element_count<3>(c.shape), 1);
  Array<float, 3> array = test::to_device<3>(stream, values, c.shape);
  affine(stream, c.scale, c.offset, array.span());
  return test::to_host(stream, array);
}

TEST_P(AffineTest, IsTheLineInDouble) {
  for (const Case& c : kCases) {
    const std::vector<float> x = test::uniform(element_count<3>(c.shape), 1);
    const std::vector<float> y = run(GetParam(), 2, c);
    ASSERT_EQ(y.size(), x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double product = double{c.scale} * double{x[i]}, line = product + double{c.offset};
      // Half a unit in the last place of the product, where it is rounded, and of the sum.
      const double bound = 0x1p-24 * (std::abs(product) + std::abs(line)) + 1e-30;
      ASSERT_LE(std::abs(double{y[i]} - line), bound) << "value " << i << " of " << x.size();
    }
  }
}

TEST_P(AffineTest, DoesNotDependOnThreads) {
  for (const Case& c : kCases) EXPECT_EQ(run(GetParam(), 1, c), run(GetParam(), 3, c));
}

TEST_P(AffineTest, LeavesNeighboursAlone) {
  Stream stream(GetParam());
  Array<float, 3> array = test::to_device<3>(stream, std::vector<float>(3 * 70, 1), {3, 7, 10});
  affine(stream, 2, 3, array.span().slice(1, 2));
  const std::vector<float> values = test::to_host(stream, array);
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], i / 70 == 1 ? 5 : 1) << i;
}

TEST_P(AffineTest, PassesOnWhatIsNoNumber) {
  Stream stream(GetParam());
  Array<float, 3> array = test::to_device<3>(stream, {NAN, INFINITY, 1}, {1, 1, 3});
  affine(stream, 2, 3, array.span());
  const std::vector<float> values = test::to_host(stream, array);
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_EQ(values[1], INFINITY);
  EXPECT_EQ(values[2], 5);
}

TEST_P(AffineTest, RefusesMemoryOfAnotherDevice) {
  Stream stream(GetParam());
  const Device other = GetParam().kind == DeviceKind::cpu ? Device{DeviceKind::cuda, 0} : Device{};
  float value = 1;
  try {
    affine(stream, 2, 3, Span<float, 3>(&value, {1, 1, 1}, other));
    FAIL() << "memory of " << name(other) << " was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::device);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, AffineTest, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& device) { return test::test_name(device.param); });

}  // namespace
}  // namespace kiban::skeleton
