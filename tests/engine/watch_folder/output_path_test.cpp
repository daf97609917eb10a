#include "engine/watch_folder/output_path.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/engine/watch_folder/small_registry.hpp"

namespace kiban::test {
namespace {

using engine::OutputPath;
using engine::safe_name;

TEST(SafeName, KeepsWhatIsSafe) {
  for (const char* name : {"study", "A.b_c-9", "1.2.840.113619", "a..b", "x-"}) EXPECT_EQ(safe_name(name), name);
}

TEST(SafeName, LeavesNoFolderAndHidesNothing) {
  const std::vector<std::string> hostile = {"",
                                            ".",
                                            "..",
                                            "../..",
                                            "/etc/passwd",
                                            ".hidden",
                                            "-rf",
                                            "a/b",
                                            "a b",
                                            "a\nb",
                                            "\xff\xfe",
                                            "名前",
                                            "$(rm)",
                                            std::string("a\0b", 3),
                                            "a\\b",
                                            std::string(5000, 'x'),
                                            "{study}"};
  std::set<std::string> seen;
  for (const std::string& text : hostile) {
    const std::string name = safe_name(text);
    EXPECT_LE(name.size(), 64u);
    EXPECT_GE(name.size(), 1u);
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"),
              std::string::npos)
        << name;
    EXPECT_TRUE(name[0] != '.' && name[0] != '-') << name;
    EXPECT_TRUE(seen.insert(name).second) << name << ": two studies became one";
  }
  EXPECT_NE(safe_name("a b"), safe_name("a_b"));
  EXPECT_NE(safe_name("a b"), safe_name("a\tb"));
}

TEST(OutputPaths, AreFilledIn) {
  const OutputPath path = OutputPath::parse("/results/{date}/{study}-{dicom:Modality}.nii.gz");
  EXPECT_EQ(path.fixed_folder(), "/results");
  EXPECT_EQ(path.tags(), std::vector<std::string>{"Modality"});
  EXPECT_EQ(path.path({{"study", "s1"}, {"date", "2026-11-25"}, {"dicom:Modality", "CT"}}),
            "/results/2026-11-25/s1-CT.nii.gz");
  const std::string hostile = path.path({{"study", "../../etc"}, {"date", "2026-11-25"}, {"dicom:Modality", "/../x"}});
  EXPECT_TRUE(hostile.starts_with("/results/2026-11-25/")) << hostile;
  EXPECT_EQ(std::ranges::count(hostile, '/'), 3) << hostile;
  EXPECT_NE(complaint([&] { static_cast<void>(path.path({{"study", "s"}, {"date", "d"}})); }, ErrorCode::input), "");
  EXPECT_NE(complaint(
                [&] {
                  static_cast<void>(path.path({{"study", "s"}, {"date", "d"}, {"dicom:Modality", ""}}));
                },
                ErrorCode::input),
            "");
}

TEST(OutputPaths, ThatCannotBeAreRefused) {
  const auto why = [](const std::string& text) {
    return complaint([&] { static_cast<void>(OutputPath::parse(text)); });
  };
  EXPECT_NE(why("results/{study}").find("begin with /"), std::string::npos);
  EXPECT_NE(why("{study}/a").find("begin with /"), std::string::npos);
  EXPECT_NE(why("").find("begin with /"), std::string::npos);
  EXPECT_NE(why("/a/../{study}").find(".."), std::string::npos);
  EXPECT_NE(why("/a/{study}/").find("name of a file"), std::string::npos);
  EXPECT_NE(why("/a/{date}.mha").find("{study} or {key}"), std::string::npos);
  EXPECT_NE(why("/a/{stdy}.mha").find("did you mean study?"), std::string::npos) << why("/a/{stdy}.mha");
  EXPECT_NE(why("/a/{study").find("no }"), std::string::npos);
  EXPECT_NE(why("/a/study}").find("no {"), std::string::npos);
  EXPECT_NE(why("/a/{dicom:}{key}").find("there is no {dicom:}"), std::string::npos);
}

}  // namespace
}  // namespace kiban::test
