#include "kernels/core/finite.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <utility>

#include "cudasim/launch.h"
#include "tests/support/compare.hpp"

namespace kiban {
namespace {

using Limits = std::numeric_limits<float>;

class AllFiniteOn : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, AllFiniteOn, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& tested) { return test::test_name(tested.param); });

/// Numbers, the largest and the smallest that there are among them.
std::vector<float> numbers(std::int64_t count) {
  std::vector<float> values = test::uniform(count, 5);
  const float extremes[] = {Limits::max(), Limits::lowest(), Limits::denorm_min(), -0.F};
  for (std::size_t i = 0; i < values.size() && i < 4; ++i) values[values.size() - 1 - i] = extremes[i];
  return values;
}

bool finite(Device device, const std::vector<float>& values) {
  Stream stream(device);
  const Array<float, 3> array = test::to_device<3>(stream, values, {1, 1, static_cast<std::int64_t>(values.size())});
  return all_finite(stream, array.span());
}

TEST_P(AllFiniteOn, SeesAnythingElseThanANumberWhereverItStands) {
  const float bad[] = {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(), std::bit_cast<float>(0xFF800001U)};
  for (const std::int64_t count : {1, 2, 3, 31, 32, 33, 255, 256, 257, 1000}) {
    const std::vector<float> values = numbers(count);
    EXPECT_TRUE(finite(GetParam(), values)) << count;
    for (std::size_t at = 0; at < values.size(); at += at < 70 || at + 70 > values.size() ? 1 : 50) {
      std::vector<float> spoilt = values;
      spoilt[at] = bad[at % 4];
      ASSERT_FALSE(finite(GetParam(), spoilt)) << at << " of " << count;
    }
  }
}

/// Many tasks of a CPU, and each thread of a GPU more than one value.
TEST_P(AllFiniteOn, SeesOneBadValueAmongMillions) {
  Stream stream(GetParam());
  std::vector<float> values = numbers((1 << 20) + 4097);
  const Shape<3> shape{1, 17, static_cast<std::int64_t>(values.size()) / 17};
  values.resize(static_cast<std::size_t>(element_count<3>(shape)));
  EXPECT_TRUE(all_finite(stream, test::to_device<3>(stream, values, shape).span()));
  for (const std::size_t at : {std::size_t{0}, std::size_t{1} << 16, values.size() - 1}) {
    const float before = std::exchange(values[at], Limits::quiet_NaN());
    EXPECT_FALSE(all_finite(stream, test::to_device<3>(stream, values, shape).span())) << at;
    values[at] = before;
  }
}

TEST_P(AllFiniteOn, TakesAllForBadAndNothingForGood) {
  EXPECT_FALSE(finite(GetParam(), std::vector<float>(3000, Limits::quiet_NaN())));
  Stream stream(GetParam());
  EXPECT_TRUE(all_finite(stream, Span<const float, 3>(nullptr, {0, 4, 4}, GetParam())));
}

/// A result that was copied back, whoever computed it.
TEST_P(AllFiniteOn, ReadsHostMemoryToo) {
  Stream stream(GetParam());
  std::vector<float> values = numbers(300);
  EXPECT_TRUE(all_finite(stream, {values.data(), {3, 10, 10}}));
  values[123] = Limits::infinity();
  EXPECT_FALSE(all_finite(stream, {values.data(), {3, 10, 10}}));
}

TEST_P(AllFiniteOn, SeesWhatTheStreamIsStillWriting) {
  Stream stream(GetParam());
  Array<float, 3> array({2, 3, 5}, GetParam());
  zero(stream, array.span());
  std::vector<float> values(30, 1.F);
  values[29] = Limits::quiet_NaN();
  copy(stream, Span<const float, 3>(values.data(), array.shape()), array.span());
  EXPECT_FALSE(all_finite(stream, array.span()));
}

TEST(AllFinite, RefusesMemoryOfAnotherDevice) {
  const Device sim = parse_device("sim");
  Array<float, 3> there({2, 2, 2}, sim);
  Stream cpu;
  EXPECT_THROW(all_finite(cpu, there.span()), Error);
}

TEST(AllFiniteOnSim, IsTheSameInAnyOrderOfThreads) {
  std::vector<float> values = numbers(5000);
  for (const bool good : {true, false}) {
    for (const cudasim::Order order : cudasim::kOrders) {
      const cudasim::ScopedOrder scope(order);
      EXPECT_EQ(finite(parse_device("sim"), values), good);
    }
    values[4321] = values[17] = Limits::quiet_NaN();
  }
}

}  // namespace
}  // namespace kiban
