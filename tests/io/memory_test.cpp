#include "io/memory.hpp"

#include <gtest/gtest.h>

#include "tests/io/scratch.hpp"

namespace kiban::io {
namespace {

TEST(Memory, RefusesWhatIsNotThere) {
  EXPECT_NO_THROW(require_memory(1, "a.mha: 1 pixel"));
  test::expect_input_error([] { require_memory(std::int64_t{1} << 60, "a.mha: 10^18 pixels"); },
                           {"a.mha: 10^18 pixels need 1073741824.0 GiB", "free", "crop"});
}

}  // namespace
}  // namespace kiban::io
