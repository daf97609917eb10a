#include "kernels/core/device.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "kernels/core/array.hpp"
#include "tests/support/sanitized.hpp"

namespace kiban {
namespace {

template <class Call>
std::string sentence_of(const Call& call, ErrorCode expected) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), expected) << error.what();
    return error.what();
  }
  return "no error";
}

/// The first that is not there: cuda:0 where there is no GPU, or no driver, or no CUDA in the build.
Device missing_device() {
  const std::vector<DeviceDescription> found = devices();
  return {DeviceKind::cuda, static_cast<int>(std::count_if(found.begin(), found.end(), [](const auto& description) {
            return description.device.kind == DeviceKind::cuda;
          }))};
}

TEST(MissingDevice, IsNamedInTheSameWordsByWhoeverIsAsked) {
  const Device device = missing_device();
  const std::string parsed = sentence_of([&] { parse_device(name(device)); }, ErrorCode::device);
  EXPECT_NE(parsed.find(cuda_absence()), std::string::npos) << parsed;
  EXPECT_EQ(sentence_of([&] { require_device(device); }, ErrorCode::device), parsed);
  EXPECT_EQ(sentence_of([&] { Stream stream(device); }, ErrorCode::device), parsed);
  EXPECT_EQ(sentence_of([&] { Array<float, 1>({16}, device); }, ErrorCode::device), parsed);
}

TEST(MissingDevice, HasNoNegativeNumber) {
  EXPECT_NE(sentence_of([&] { Stream({DeviceKind::cuda, -1}); }, ErrorCode::device), "no error");
}

TEST(HostMemory, ThatIsNotGivenIsAMatterOfTheInput) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer ends the program where memory is refused";
  const std::string sentence = sentence_of(
      [] {
        Array<float, 3>({1 << 20, 1 << 20, 1 << 10});
      },
      ErrorCode::input);  // 4 PiB
  EXPECT_NE(sentence.find("4194304.0 GiB of memory"), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("fewer or larger voxels"), std::string::npos) << sentence;
}

TEST(Device, HostMemoryIsSomeAndNotMoreThanTheMachineHas) {
  const std::int64_t available = available_memory_bytes();
  EXPECT_GT(available, 0);
  EXPECT_LE(available, std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE));
}

}  // namespace
}  // namespace kiban
