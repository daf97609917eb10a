#include "engine/parameters.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

/// The sentence that the call throws as a usage error.
template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    return error.what();
  }
  return "accepted";
}

const Parameter kViews = Parameter::integer("views", "", "Number of views").by_default(360).at_least(1).at_most(1000);
const Parameter kDistance = Parameter::real("sid-mm", "mm", "Distance").by_default(1000.0).above(0);
const Parameter kSize = Parameter::integers3("size", "", "Voxels").at_least(1).at_most(4096);
const Parameter kSpacing = Parameter::reals3("spacing-mm", "mm", "Spacing").above(0).at_most(100);
const Parameter kWindow = Parameter::choice("window", {"hann", "hamming"}, "Window").by_default("hann");
const Parameter kFlag = Parameter::flag("no-mask", "Keep all");
const Parameter kText = Parameter::text("device", "Where");

TEST(Parameters, ReadTextOfEveryType) {
  EXPECT_EQ(std::get<std::int64_t>(value_from_text(kViews, "1000")), 1000);
  EXPECT_EQ(std::get<double>(value_from_text(kDistance, "1e-3")), 1e-3);
  EXPECT_EQ(std::get<Integers3>(value_from_text(kSize, "7")), (Integers3{7, 7, 7}));
  EXPECT_EQ(std::get<Integers3>(value_from_text(kSize, "1,2,3")), (Integers3{1, 2, 3}));
  EXPECT_EQ(std::get<Reals3>(value_from_text(kSpacing, "1 2.5 3")), (Reals3{1, 2.5, 3}));
  EXPECT_EQ(std::get<std::string>(value_from_text(kWindow, "hamming")), "hamming");
  EXPECT_TRUE(std::get<bool>(value_from_text(kFlag, "true")));
  EXPECT_EQ(std::get<std::string>(value_from_text(kText, "")), "");
}

TEST(Parameters, ReadJsonOfEveryType) {
  EXPECT_EQ(std::get<std::int64_t>(value_from_json(kViews, 5)), 5);
  EXPECT_EQ(std::get<double>(value_from_json(kDistance, 5)), 5.0);
  EXPECT_EQ(std::get<Integers3>(value_from_json(kSize, {1, 2, 3})), (Integers3{1, 2, 3}));
  EXPECT_EQ(std::get<Reals3>(value_from_json(kSpacing, 0.5)), (Reals3{0.5, 0.5, 0.5}));
  EXPECT_EQ(std::get<std::string>(value_from_json(kWindow, "hann")), "hann");
  EXPECT_TRUE(std::get<bool>(value_from_json(kFlag, true)));
}

TEST(Parameters, RefuseBadTextNamingParameterValueRangeAndUnit) {
  struct Case {
    Parameter parameter;
    std::string text;
    std::vector<std::string> sentence_has;
  };
  const Case cases[] = {
      {kViews, "0", {"views is 0", "1 to 1000"}},
      {kViews, "1001", {"views is 1001", "1 to 1000"}},
      {kViews, "3.5", {"views is '3.5'", "whole number"}},
      {kViews, "", {"views is ''", "whole number"}},
      {kViews, "12x", {"'12x'"}},
      {kViews, " 12", {"' 12'"}},
      {kViews, "99999999999999999999", {"'99999999999999999999'"}},
      {kDistance, "0", {"sid-mm is 0 mm", "above 0 mm"}},
      {kDistance, "-5", {"sid-mm is -5 mm", "above 0 mm"}},
      {kDistance, "nan", {"sid-mm is nan mm", "above 0 mm"}},
      {kDistance, "inf", {"sid-mm is inf mm"}},
      {kDistance, "far", {"sid-mm is 'far'", "a number (mm)"}},
      {kDistance, "1e999", {"'1e999'"}},
      {kSize, "1,2", {"size is '1,2'", "one whole number or three"}},
      {kSize, "1,2,3,4", {"'1,2,3,4'"}},
      {kSize, "1,,3", {"'1,,3'"}},
      {kSize, "1,2,4097", {"size is 1,2,4097", "1 to 4096"}},
      {kSpacing, "1,0,1", {"spacing-mm is 1,0,1 mm", "above 0 and at most 100 mm"}},
      {kWindow, "han", {"window is 'han'", "one of hann, hamming", "did you mean hann?"}},
      {kFlag, "yes", {"no-mask is 'yes'", "true or false"}},
  };
  for (const Case& c : cases) {
    const std::string sentence = refusal([&] { value_from_text(c.parameter, c.text); });
    for (const std::string& part : c.sentence_has) EXPECT_NE(sentence.find(part), std::string::npos) << sentence;
  }
}

TEST(Parameters, RefuseJsonOfAnotherType) {
  const nlohmann::json of_no_parameter = nlohmann::json::object({{"a", 1}});
  for (const Parameter& parameter : {kViews, kDistance, kSize, kSpacing, kWindow, kFlag, kText}) {
    EXPECT_NE(refusal([&] { value_from_json(parameter, of_no_parameter); }), "accepted") << parameter.name;
    EXPECT_NE(refusal([&] { value_from_json(parameter, nullptr); }), "accepted") << parameter.name;
  }
  EXPECT_NE(refusal([] { value_from_json(kViews, 1.5); }), "accepted");
  EXPECT_NE(refusal([] { value_from_json(kViews, "5"); }), "accepted");
  EXPECT_NE(refusal([] { value_from_json(kViews, true); }), "accepted");
  EXPECT_NE(refusal([] { value_from_json(kSize, nlohmann::json::array()); }), "accepted");
  EXPECT_NE(refusal([] { value_from_json(kSize, {1, 2.5, 3}); }), "accepted");
  EXPECT_NE(refusal([] { value_from_json(kViews, nlohmann::json::parse("18446744073709551615")); }), "accepted");
}

TEST(Parameters, TextOfAValueReadsBack) {
  for (const double number : {0.1, 1.0 / 3, 1e-300, -12345678.9, 1e22})
    EXPECT_EQ(std::get<double>(value_from_text(Parameter::real("x", "", ""), to_text(Value(number)))), number);
  EXPECT_EQ(to_text(Value(Reals3{1, 2.5, 3})), "1,2.5,3");
  EXPECT_EQ(to_text(Value(Integers3{4, 4, 4})), "4");
}

TEST(Parameters, DefaultsAreCheckedToo) {
  EXPECT_NE(refusal([] { Parameter::integer("n", "", "").at_least(1).by_default(0); }), "accepted");
  EXPECT_NE(refusal([] { Parameter::choice("c", {"a"}, "").by_default("b"); }), "accepted");
}

TEST(Values, HoldGivenValuesAndDefaults) {
  const std::vector<Parameter> declared = {kViews, kDistance, kSize, kWindow, kFlag};
  const Values values = Values::from_text(declared, {{"views", "10"}, {"no-mask", "true"}});
  EXPECT_EQ(values.integer("views"), 10);
  EXPECT_EQ(values.real("sid-mm"), 1000);
  EXPECT_EQ(values.text("window"), "hann");
  EXPECT_TRUE(values.flag("no-mask"));
  EXPECT_FALSE(values.has("size"));
  EXPECT_TRUE(values.given("views"));
  EXPECT_TRUE(values.has("sid-mm"));
  EXPECT_FALSE(values.given("sid-mm"));
  EXPECT_EQ(Values::from_json(declared, values.json()).json(), values.json());
}

TEST(Values, RefuseUnknownAndMissingNames) {
  const std::vector<Parameter> declared = {kViews, Parameter::integer("rows", "", "Rows").must_be_given()};
  EXPECT_EQ(refusal([&] {
              Values::from_text(declared, {{"rows", "1"}, {"viws", "2"}});
            }),
            "there is no parameter viws; did you mean views?");
  EXPECT_EQ(refusal([&] { Values::from_json(declared, {{"rows", 1}, {"zzz", 2}}); }), "there is no parameter zzz");
  EXPECT_EQ(refusal([&] { Values::from_text(declared, {}); }), "rows must be given: Rows");
  EXPECT_NE(refusal([&] { Values::from_json(declared, nlohmann::json::array()); }), "accepted");
}

TEST(Values, ReadingAnotherTypeIsAFaultOfOurs) {
  const Values values = Values::from_text({kViews}, {});
  for (const auto& read : {+[](const Values& v) { v.real("views"); }, +[](const Values& v) { v.text("nothing"); }}) {
    try {
      read(values);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::internal);
    }
  }
}

}  // namespace
}  // namespace kiban::engine
