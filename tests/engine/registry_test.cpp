#include "engine/registry.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/nearest_name.hpp"
#include "engine/operations/standard.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

Operation named(const std::string& name) {
  Operation operation;
  operation.name = name;
  return operation;
}

std::string refusal(const Registry& registry, const std::string& name) {
  try {
    registry.find(name);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    return error.what();
  }
  return "found";
}

TEST(Registry, FindsByNameAndSuggestsTheNearest) {
  const Registry registry({named("ct.fdk"), named("ct.fbp"), named("mr.sense")});
  EXPECT_EQ(registry.find("ct.fbp").name, "ct.fbp");
  EXPECT_EQ(refusal(registry, "ct.fdx"), "there is no operation ct.fdx; did you mean ct.fdk?");
  EXPECT_EQ(refusal(registry, "mr.sens"), "there is no operation mr.sens; did you mean mr.sense?");
  EXPECT_EQ(refusal(registry, "zzzzzzzz"), "there is no operation zzzzzzzz; `kiban ops` lists them");
}

TEST(Registry, RefusesNamesDeclaredTwice) {
  EXPECT_THROW(Registry({named("a"), named("a")}), Error);
  Operation operation = named("a");
  operation.ports = {{"x", PortDirection::in, PortKind::volume, true, ""}};
  operation.parameters = {Parameter::flag("x", "")};
  EXPECT_THROW(Registry({operation}), Error);
}

TEST(Registry, StandardOperationsAreDescribedInFull) {
  const Registry registry(standard_operations());
  ASSERT_FALSE(registry.operations().empty());
  for (const Operation& operation : registry.operations()) {
    EXPECT_FALSE(operation.summary.empty()) << operation.name;
    EXPECT_TRUE(operation.load) << operation.name;
    for (const Port& port : operation.ports) EXPECT_FALSE(port.help.empty()) << operation.name << " " << port.name;
    for (const Parameter& parameter : operation.parameters) {
      EXPECT_FALSE(parameter.help.empty()) << operation.name << " " << parameter.name;
      EXPECT_TRUE(parameter.required || parameter.default_value || !parameter.otherwise.empty())
          << operation.name << " does not say what happens without " << parameter.name;
    }
    // The options of the run share the command line with them.
    for (const char* taken : {"device", "threads", "simd", "json", "help"})
      EXPECT_EQ(to_json(operation).dump().find("\"name\":\"" + std::string(taken) + "\""), std::string::npos);
  }
}

TEST(NearestName, KnowsASlipFromAnotherWord) {
  const std::vector<std::string> names = {"--volume", "--views", "--preview"};
  EXPECT_EQ(nearest_name("--volme", names), "--volume");
  EXPECT_EQ(nearest_name("--prev", names), "--preview");
  EXPECT_EQ(nearest_name("--view", names), "--views");
  EXPECT_EQ(nearest_name("--cutoff", names), "");
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(suggestion("--views", names), "; did you mean --views?");
}

TEST(RequestFromText, SortsPortsFromParameters) {
  Operation operation = named("a");
  operation.ports = {{"in", PortDirection::in, PortKind::volume, true, "What goes in"},
                     {"out", PortDirection::out, PortKind::volume, false, "What comes out"}};
  operation.parameters = {Parameter::integer("n", "", "A number").by_default(3)};
  const Request request = request_from_text(operation, {{"in", "a.mha"}, {"n", "4"}});
  EXPECT_EQ(request.path("in"), "a.mha");
  EXPECT_FALSE(request.in_memory("in"));
  EXPECT_FALSE(request.uses("out"));
  EXPECT_EQ(request.parameters.integer("n"), 4);
  EXPECT_THROW(request_from_text(operation, {{"n", "4"}}), Error);
  EXPECT_THROW(request_from_text(operation, {{"in", ""}}), Error);
  EXPECT_THROW(request_from_text(operation, {{"in", "a.mha"}, {"m", "4"}}), Error);
}

}  // namespace
}  // namespace kiban::engine
