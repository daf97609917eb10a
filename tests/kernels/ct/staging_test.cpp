#include "kernels/ct/staging.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "cudasim/launch.h"
#include "tests/support/compare.hpp"

namespace kiban::ct {
namespace {

constexpr std::int64_t kRows = 5, kColumns = 7, kBlocks = 9;

/// Block `i` of a scan; the last one is short.
std::vector<float> block_of(std::int64_t i, std::int64_t most) {
  const std::int64_t views = i + 1 < kBlocks ? most : most - 1;
  return test::uniform(views * kRows * kColumns, static_cast<std::uint32_t>(i + 1));
}

/// Stages blocks one after the other, all through the same host buffer, and returns what `reader` finds staged: all of
/// it is read after the last block was sent.
std::vector<std::vector<float>> staged_blocks(Stream stream, Stream reader) {
  Staging staging(stream, kRows, kColumns);
  const std::int64_t most = staging.most_views();
  std::vector<float> host;
  std::vector<Array<float, 3>> kept;
  for (std::int64_t i = 0; i < kBlocks; ++i) {
    host = block_of(i, most);
    const Shape<3> shape{static_cast<std::int64_t>(host.size()) / (kRows * kColumns), kRows, kColumns};
    const Span<const float, 3> staged = staging.stage({host.data(), shape});
    EXPECT_EQ(staged.device(), stream.device());
    kept.emplace_back(shape, stream.device());
    copy(reader, staged, kept.back().span());
    std::fill(host.begin(), host.end(), -1.F);  // the caller may
  }
  stream.synchronize();
  reader.synchronize();
  std::vector<std::vector<float>> blocks;
  for (const Array<float, 3>& block : kept) blocks.push_back(test::to_host(reader, block));
  return blocks;
}

bool are_right(const std::vector<std::vector<float>>& blocks, std::int64_t most) {
  for (std::int64_t i = 0; i < kBlocks; ++i)
    if (blocks[static_cast<std::size_t>(i)] != block_of(i, most)) return false;
  return true;
}

TEST(Staging, DeliversEveryBlockInOrder) {
  for (const Device device : test::devices_under_test()) {
    const Stream stream(device);
    EXPECT_TRUE(are_right(staged_blocks(stream, stream), Staging(stream, kRows, kColumns).most_views()))
        << name(device);
  }
}

TEST(StagingOnSim, DeliversInAnyOrderOfStreams) {
  const Stream stream(parse_device("sim"));
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder scope(order);
    EXPECT_TRUE(are_right(staged_blocks(stream, stream), Staging(stream, kRows, kColumns).most_views()));
  }
}

/// The test above could not fail if the simulator delivered at once.
TEST(StagingOnSim, OtherStreamsDoNotWait) {
  const Stream stream(parse_device("sim")), stranger(parse_device("sim"));
  int wrong = 0;
  for (const cudasim::Order order : cudasim::kOrders) {
    const cudasim::ScopedOrder scope(order);
    wrong += !are_right(staged_blocks(stream, stranger), Staging(stream, kRows, kColumns).most_views());
  }
  EXPECT_GT(wrong, 0);
}

TEST(Staging, PassesOnWhatIsThereAlready) {
  for (const Device device : test::devices_under_test()) {
    const Stream stream(device);
    Staging staging(stream, kRows, kColumns);
    const Array<float, 3> there({3, kRows, kColumns}, device);
    EXPECT_EQ(staging.stage(there.span()).on(device).data, there.span().on(device).data);
    const Array<float, 3> wide({3, kRows, kColumns + 1}, device);
    EXPECT_THROW(staging.stage(wide.span()), Error);
    const Array<float, 3> many({staging.most_views() + 1, kRows, kColumns}, device);
    EXPECT_THROW(staging.stage(many.span()), Error);
  }
  Staging on_cpu(Stream(), kRows, kColumns);
  const Array<float, 3> elsewhere({3, kRows, kColumns}, parse_device("sim"));
  EXPECT_THROW(on_cpu.stage(elsewhere.span()), Error);
}

}  // namespace
}  // namespace kiban::ct
