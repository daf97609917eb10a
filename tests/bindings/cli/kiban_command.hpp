#pragma once
#include <nlohmann/json.hpp>

#include "kernels/core/volume.hpp"
#include "tests/support/process.hpp"

namespace kiban::test {

inline std::vector<std::string> kiban_command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), KIBAN_COMMAND);
  return arguments;
}

inline Finished kiban(const std::vector<std::string>& arguments) { return run(kiban_command(arguments)); }

/// One line on standard error that begins as ours do.
inline void expect_one_line(const Finished& finished) {
  EXPECT_TRUE(finished.err.starts_with("kiban: ")) << finished.err;
  EXPECT_EQ(std::ranges::count(finished.err, '\n'), 1) << finished.err;
  EXPECT_TRUE(finished.err.ends_with('\n')) << finished.err;
}

/// Fails with this status, one line that has `part` in it, and nothing on standard output.
inline void expect_failure(const std::vector<std::string>& arguments, int status, const std::string& part) {
  const Finished finished = kiban(arguments);
  EXPECT_EQ(finished.status, status) << finished.err;
  EXPECT_EQ(finished.out, "");
  EXPECT_NE(finished.err.find(part), std::string::npos) << "no '" << part << "' in: " << finished.err;
  expect_one_line(finished);
}

/// The projections and geometry of a small scan of the phantom: 24 views of 32 x 32.
struct SmallScan {
  Folder folder;
  std::string projections = folder / "p.mha", geometry = folder / "g.xml";

  SmallScan() {
    const Finished finished = kiban({"run", "ct.simulate", "--phantom", "shepp-logan", "--views", "24", "--columns",
                                     "32", "--projections", projections, "--geometry", geometry});
    EXPECT_EQ(finished.status, 0) << finished.err;
  }
  /// The command line of its reconstruction.
  std::vector<std::string> fdk(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"run", "ct.fdk", "--projections", projections, "--geometry", geometry};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

}  // namespace kiban::test
