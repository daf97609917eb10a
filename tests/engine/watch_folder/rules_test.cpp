#include "engine/watch_folder/rules.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/engine/watch_folder/small_registry.hpp"

namespace kiban::test {
namespace {

using engine::InputSource;
using engine::WatchRules;

const std::string kRule =
    "[[rule]]\n"                                    // 1
    "name = \"one\"\n"                              // 2
    "operation = \"test.scale\"\n"                  // 3
    "match.files.\"*.mha\" = 1\n"                   // 4
    "inputs.scan = \"{file:*.mha}\"\n"              // 5
    "outputs.result = \"/nowhere/{study}.mha\"\n";  // 6

struct Rules {
  Folder folder;
  std::filesystem::path watched = folder / "watched", file = folder / "rules.toml";
  Rules() { std::filesystem::create_directory(watched); }

  WatchRules read(const std::string& text) const {
    write_text(file, text);
    return engine::read_watch_rules(file, watched, small_registry(), small_tags());
  }
  /// The complaint without the file's name.
  std::string why(const std::string& text, ErrorCode code = ErrorCode::usage) const {
    const std::string said = complaint([&] { read(text); }, code);
    EXPECT_TRUE(said.starts_with(file.string())) << said;
    return said.substr(std::min(said.size(), file.string().size()));
  }
};

TEST(WatchRulesFile, IsReadWhole) {
  const Rules rules;
  const WatchRules read = rules.read(
      "[settings]\nquiet_s = 2.5\nmarker = \"COMPLETE\"\nunmatched = \"left\"\ndone = \"/else/done\"\n"
      "submitter = \"ct-2\"\n" +
      kRule +
      "inputs.mask = \"/masks/head.mha\"\npriority = \"urgent\"\ntimeout_s = 60\nparameters = { factor = 2 }\n"
      "tags = { site = \"room-2\" }\nmatch.dicom = { Modality = [\"CT\", \"P?\"] }\n");
  EXPECT_EQ(read.settings.quiet_s, 2.5);
  EXPECT_EQ(read.settings.marker, "COMPLETE");
  EXPECT_EQ(read.settings.unmatched, rules.watched / "left");
  EXPECT_EQ(read.settings.done, "/else/done");
  EXPECT_EQ(read.settings.submitter, "ct-2");
  ASSERT_EQ(read.rules.size(), 1);
  const engine::WatchRule& rule = read.rules[0];
  EXPECT_EQ(rule.operation, "test.scale");
  EXPECT_EQ(rule.operation_version, 7);
  EXPECT_EQ(rule.parameters, nlohmann::json({{"factor", 2.0}}));
  EXPECT_EQ(rule.inputs.at("scan").kind, InputSource::Kind::file);
  EXPECT_EQ(rule.inputs.at("scan").text, "*.mha");
  EXPECT_EQ(rule.inputs.at("mask").text, "/masks/head.mha");
  EXPECT_EQ(rule.priority, engine::Priority::urgent);
  EXPECT_EQ(rule.timeout_s, 60);
  EXPECT_EQ(rule.job_tags.at("site"), "room-2");
  EXPECT_EQ(rule.tags.at(0).patterns, (std::vector<std::string>{"CT", "P?"}));
}

TEST(WatchRulesFile, HasDefaultsOfItsOwnForEveryFolder) {
  const Rules one, two;
  const WatchRules read = one.read(kRule);
  EXPECT_EQ(read.settings.quiet_s, 30);
  EXPECT_EQ(read.settings.unmatched, one.watched / "unmatched");
  EXPECT_FALSE(read.settings.done);
  EXPECT_NE(read.settings.submitter, two.read(kRule).settings.submitter) << "content keys would be shared";
}

/// Text that is added to a sound file, the line of the fault and a part of the sentence.
struct Fault {
  std::string text;
  int line;
  std::string part;
};

TEST(WatchRulesFile, FaultsBehindARuleHaveTheirLine) {
  const Rules rules;
  const std::vector<Fault> faults = {
      {"proirity = \"stat\"\n", 7, "there is no key proirity; did you mean priority?"},
      {"priority = \"asap\"\n", 7, "asap"},
      {"priority = 1\n", 7, "priority must be a text"},
      {"timeout_s = \"1\"\n", 7, "timeout_s must be a number"},
      {"timeout_s = -1\n", 1, "timeout"},
      {"timeout_s = nan\n", 1, "timeout"},
      {"\nparameters.fctor = 2\n", 8, "did you mean factor?"},
      {"parameters.factor = 11\n", 7, "factor is 11, but must be 0 to 10"},
      {"parameters.factor = \"two\"\n", 7, "factor"},
      {"parameters.factor = 2026-01-01\n", 7, "must be a number, a text"},
      {"parameters.mode = \"exat\"\n", 7, "did you mean exact?"},
      {"inputs.masc = \"/m\"\n", 7, "test.scale has no input masc; did you mean mask?"},
      {"inputs.result = \"/m\"\n", 7, "test.scale has no input result"},
      {"inputs.mask = \"m\"\n", 7, "mask must be \"{folder}\""},
      {"inputs.mask = \"{file:}\"\n", 7, "mask must be"},
      {"inputs.mask = 3\n", 7, "mask must be a text"},
      {"outputs.reslt = \"/m/{study}\"\n", 7, "has no output reslt; did you mean result?"},
      {"match.dicom.Modalty = \"CT\"\n", 7, "Modalty is no tag"},
      {"match.dicom.Modality = 3\n", 7, "Modality must be a text"},
      {"match.dicom.Modality = []\n", 7, "Modality lists nothing"},
      {"match.file = 3\n", 7, "there is no key file; did you mean files?"},
      {"match.files.a = 0\n", 7, "\"a\" must say how many"},
      {"tags.content = \"a\"\n", 7, "the tag content"},
      {"tags.site = \"Room 2\"\n", 1, "Room 2"},
      {kRule, 7, "there are two rules \"one\""},
      {"inputs = 3\n", 7, "not TOML"},
      {"a = \n", 7, "not TOML"},
      {"[settings]\nquiet_s = 0\n", 8, "quiet_s is 0, but must be above 0"},
      {"[settings]\nquiet_s = nan\n", 8, "quiet_s is nan"},
      {"[settings]\nquiet_s = inf\n", 8, "no marker"},
      {"[settings]\nmarker = \"a/b\"\n", 8, "marker must be the name of a file"},
      {"[settings]\nunmatched = \"..\"\n", 8, "unmatched must be the name of a folder"},
      {"[settings]\nunmatched = \"" + (rules.watched / "a/b").string() + "\"\n", 8,
       "unmatched lies in the watched folder"},
      {"[settings]\ndone = \"unmatched\"\n", 8, "same folder"},
      {"[settings]\nquite_s = 1\n", 8, "did you mean quiet_s?"},
      {"[setings]\n", 7, "did you mean settings?"},
  };
  for (const Fault& fault : faults) {
    const std::string said = rules.why(kRule + fault.text);
    EXPECT_TRUE(said.starts_with(", line " + std::to_string(fault.line) + ": ")) << fault.text << said;
    EXPECT_NE(said.find(fault.part), std::string::npos) << fault.text << said;
  }
}

TEST(WatchRulesFile, WhatARuleLacksIsSaid) {
  const Rules rules;
  const auto without = [](const std::string& key) {
    std::string text = kRule;
    const std::size_t at = text.find(key);
    return text.erase(at, text.find('\n', at) - at);
  };
  EXPECT_NE(rules.why(without("name")).find(", line 1: a rule needs a name"), std::string::npos);
  EXPECT_NE(rules.why(without("operation")).find(", line 1: a rule needs an operation"), std::string::npos);
  EXPECT_NE(rules.why(without("match")).find("needs match.files or match.dicom"), std::string::npos);
  EXPECT_NE(rules.why(without("inputs")).find("needs the input scan: what to scale"), std::string::npos);
  EXPECT_NE(rules.why(without("outputs")).find("needs the output result"), std::string::npos);
  EXPECT_NE(rules.why("[settings]\n").find("there is no rule"), std::string::npos);
  EXPECT_NE(rules.why("rule = 3\n").find("begin each with [[rule]]"), std::string::npos);
}

TEST(WatchRulesFile, OutputsStayOutOfTheWatchedFolder) {
  const Rules rules;
  std::filesystem::create_directory_symlink(rules.watched, rules.folder / "link");
  for (const std::filesystem::path& inside :
       {rules.watched, rules.watched / "deeper", std::filesystem::path(rules.folder / "link"),
        std::filesystem::path(rules.folder / "link/deeper")}) {
    std::string text = kRule;
    text.replace(text.find("/nowhere"), 8, inside.string());
    EXPECT_NE(rules.why(text).find(", line 6: result: it would be written into the watched folder"), std::string::npos);
  }
}

TEST(WatchRulesFile, ThatCannotBeReadIsAnInputError) {
  const Rules rules;
  const auto read = [&](const std::filesystem::path& file) {
    return complaint([&] { engine::read_watch_rules(file, rules.watched, small_registry(), small_tags()); },
                     ErrorCode::input);
  };
  EXPECT_NE(read(rules.folder / "none.toml").find("cannot be read"), std::string::npos);
  EXPECT_NE(read(rules.watched).find("cannot be read"), std::string::npos);
  rules.why("", ErrorCode::input);
  rules.why(std::string(2 << 20, '#'), ErrorCode::input);
}

TEST(Patterns, AreThoseOfAShell) {
  EXPECT_TRUE(engine::file_is_like("a/b/x.mha", "*.mha"));
  EXPECT_TRUE(engine::file_is_like("a/x.mha", "a/*.mha"));
  EXPECT_FALSE(engine::file_is_like("a/b/x.mha", "a/*.mha"));
  EXPECT_FALSE(engine::file_is_like("x.mhb", "*.mh[ac]"));
  EXPECT_TRUE(engine::value_is_like("ORIGINAL\\PRIMARY\\AXIAL", "*AXIAL"));
  EXPECT_TRUE(engine::value_is_like("a/b", "a*"));
  EXPECT_FALSE(engine::value_is_like("ct", "CT"));
  EXPECT_FALSE(engine::value_is_like("", "?*"));
}

}  // namespace
}  // namespace kiban::test
