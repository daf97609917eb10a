#include <gtest/gtest.h>

#include <algorithm>

#include "engine/operations/standard.hpp"
#include "engine/runner.hpp"
#include "kernels/core/device.hpp"
#include "tests/bindings/cli/kiban_command.hpp"

namespace kiban::test {
namespace {

TEST(Ops, ListsEveryOperation) {
  const Finished finished = kiban({"ops"});
  EXPECT_EQ(finished.status, 0);
  for (const engine::Operation& operation : engine::standard_operations()) {
    EXPECT_NE(finished.out.find(operation.name), std::string::npos);
    EXPECT_NE(finished.out.find(operation.summary), std::string::npos);
  }
}

TEST(Ops, HelpShowsUnitsDefaultsRangesAndPorts) {
  const Finished ops = kiban({"ops", "ct.geometry"}), help = kiban({"run", "ct.geometry", "--help"});
  EXPECT_EQ(ops.out, help.out);
  EXPECT_EQ(help.status, 0);
  for (const char* part : {"--sid-mm X", "default 1000 mm; above 0", "forward, reverse", "--geometry PATH", "required",
                           "--views N", "those of the projections", "--device", "--threads", "--simd", "--json"})
    EXPECT_NE(help.out.find(part), std::string::npos) << part << " is missing in\n" << help.out;
  // Whatever else is wrong, help is given.
  EXPECT_EQ(kiban({"run", "ct.geometry", "--nonsense", "--help"}).out, help.out);
}

TEST(Ops, HelpOfEveryOperationNamesEveryOption) {
  for (const engine::Operation& operation : engine::standard_operations()) {
    const std::string help = kiban({"run", operation.name, "--help"}).out;
    for (const engine::Port& port : operation.ports) EXPECT_NE(help.find("--" + port.name), std::string::npos);
    for (const engine::Parameter& parameter : operation.parameters) {
      EXPECT_NE(help.find("--" + parameter.name), std::string::npos);
      EXPECT_TRUE(parameter.unit.empty() || help.find(" " + parameter.unit) != std::string::npos) << parameter.name;
    }
    std::size_t longest = 0, begin = 0;
    for (std::size_t end; (end = help.find('\n', begin)) != std::string::npos; begin = end + 1)
      longest = std::max(longest, end - begin);
    EXPECT_LE(longest, 100U) << operation.name;
  }
}

TEST(Ops, JsonIsTheDeclaration) {
  const nlohmann::json all = nlohmann::json::parse(kiban({"ops", "--json"}).out);
  EXPECT_EQ(all.size(), engine::standard_operations().size());
  const nlohmann::json one = nlohmann::json::parse(kiban({"ops", "skeleton.affine", "--json"}).out);
  EXPECT_EQ(one["parameters"][0]["name"], "scale");
  EXPECT_EQ(one["parameters"][0]["default"], 1.0);
  EXPECT_EQ(one["ports"][0]["direction"], "in");
}

TEST(Ops, PageInTheDocumentationIsUpToDate) {
  EXPECT_EQ(kiban({"ops", "--markdown"}).out, read_text(KIBAN_DOCS "/operations.md"))
      << "write it anew: `./dev docs`, or `kiban ops --markdown > docs/operations.md`";
}

TEST(Commands, VersionAndDevices) {
  EXPECT_EQ(kiban({"version"}).out, "kiban " + engine::version() + "\n");
  EXPECT_EQ(kiban({"--version"}).out, kiban({"version"}).out);
  EXPECT_EQ(nlohmann::json::parse(kiban({"version", "--json"}).out)["version"], engine::version());
  EXPECT_TRUE(kiban({"devices"}).out.starts_with("cpu"));
  const nlohmann::json found = nlohmann::json::parse(kiban({"devices", "--json"}).out);
  EXPECT_EQ(found["devices"][0]["device"], "cpu");
  EXPECT_EQ(found["devices"].size(), devices().size());
  EXPECT_GT(found["devices"][0]["memory_bytes"], 0);
}

TEST(Commands, UsageErrorsSuggestTheNearestName) {
  expect_failure({}, 2, "which command?");
  expect_failure({"rnu"}, 2, "did you mean run?");
  expect_failure({"frobnicate"}, 2, "`kiban help` lists them");
  expect_failure({"ops", "ct.fdx"}, 2, "did you mean ct.fdk?");
  expect_failure({"ops", "ct.fdk", "ct.fbp"}, 2, "unexpected argument ct.fbp");
  expect_failure({"devices", "--jason"}, 2, "did you mean --json?");
  expect_failure({"run"}, 2, "name of an operation");
  expect_failure({"run", "--threads", "ct.fdk"}, 2, "name of an operation");
  EXPECT_EQ(kiban({"--help"}).status, 0);
  EXPECT_EQ(kiban({"run", "--help"}).status, 0);
  EXPECT_EQ(kiban({"devices", "--help"}).status, 0);
}

}  // namespace
}  // namespace kiban::test
