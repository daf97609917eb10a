#include "engine/watch_folder/move_study.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/engine/watch_folder/small_registry.hpp"

namespace kiban::test {
namespace {

namespace fs = std::filesystem;
using engine::move_study;

struct TwoFolders {
  Folder folder;
  fs::path from = folder / "from", into = folder / "into";
  TwoFolders() {
    fs::create_directory(into);
    fs::create_directory(from);
  }
  fs::path study(const std::string& name) const {
    write_text(from / name / "a/b.mha", "content of " + name);
    return from / name;
  }
};

TEST(MoveStudy, KeepsItsNameAndTakesNobodysElse) {
  const TwoFolders folders;
  for (const char* name : {"s", "s-2", "s-3"}) {
    EXPECT_EQ(move_study(folders.study("s"), folders.into, "why\n"), folders.into / name);
    EXPECT_EQ(read_text(folders.into / name / "a/b.mha"), "content of s");
    EXPECT_EQ(read_text(folders.into / (std::string(name) + ".reason.txt")), "why\n");
  }
  fs::create_symlink("/nowhere", folders.into / "t");
  EXPECT_EQ(move_study(folders.study("t"), folders.into, ""), folders.into / "t-2");
  EXPECT_FALSE(fs::exists(folders.into / "t-2.reason.txt"));
  EXPECT_TRUE(fs::is_empty(folders.from));
}

TEST(MoveStudy, NamesOfAnyKind) {
  const TwoFolders folders;
  for (const std::string& name : {std::string("a b"), std::string("a\nb"), std::string("..."), std::string("-rf"),
                                  std::string("a..b"), std::string("%s{}"), std::string("\xff")}) {
    EXPECT_EQ(move_study(folders.study(name), folders.into, "why"), folders.into / name);
    EXPECT_EQ(read_text(folders.into / (name + ".reason.txt")), "why");
  }
  const fs::path moved = move_study(folders.study(std::string(255, 'x')), folders.into, "why");
  EXPECT_EQ(read_text(moved.string() + ".reason.txt"), "why");
  EXPECT_EQ(read_text(moved / "a/b.mha").size(), 255 + 11);
}

TEST(MoveStudy, WhatFailsLeavesTheStudy) {
  const TwoFolders folders;
  const fs::path study = folders.study("s");
  EXPECT_NE(complaint([&] { move_study(study, folders.folder / "none", "why"); }, ErrorCode::input), "");
  EXPECT_EQ(read_text(study / "a/b.mha"), "content of s");
  EXPECT_NE(complaint([&] { move_study(folders.from / "gone", folders.into, ""); }, ErrorCode::input), "");
}

/// A folder on another file system than the tests' own, where this machine has one.
class ElsewhereTest : public testing::Test {
 protected:
  void SetUp() override {
    struct stat here {
    }, there{};
    std::string name = "/dev/shm/kiban-test-XXXXXX";
    if (!mkdtemp(name.data())) GTEST_SKIP() << "no /dev/shm, so no second file system";
    elsewhere = name;
    stat(folders.into.c_str(), &here);
    stat(elsewhere.c_str(), &there);
    if (here.st_dev == there.st_dev) GTEST_SKIP() << "/dev/shm is the file system of the temporary files";
  }
  void TearDown() override { fs::remove_all(elsewhere); }
  TwoFolders folders;
  fs::path elsewhere;
};

TEST_F(ElsewhereTest, TheStudyIsCopiedWholeAndThenRemoved) {
  const fs::path study = folders.study("s");
  fs::create_symlink("/etc/passwd", study / "link");
  write_text(study / ".hidden", std::string(3 << 20, 'h'));
  EXPECT_EQ(move_study(study, elsewhere, "why"), elsewhere / "s");
  EXPECT_FALSE(fs::exists(study));
  EXPECT_EQ(read_text(elsewhere / "s/a/b.mha"), "content of s");
  EXPECT_EQ(read_text(elsewhere / "s/.hidden").size(), 3u << 20);
  EXPECT_EQ(fs::read_symlink(elsewhere / "s/link"), "/etc/passwd");
}

TEST_F(ElsewhereTest, WhatCannotBeCopiedStays) {
  const fs::path study = folders.study("s");
  ASSERT_EQ(mkfifo((study / "pipe").c_str(), 0600), 0);
  EXPECT_NE(complaint([&] { move_study(study, elsewhere, ""); }, ErrorCode::input), "");
  EXPECT_EQ(read_text(study / "a/b.mha"), "content of s");
  EXPECT_FALSE(fs::exists(elsewhere / "s"));
  EXPECT_TRUE(fs::is_empty(elsewhere));
}

TEST_F(ElsewhereTest, AnInterruptedCopyIsBegunAnew) {
  write_text(elsewhere / ".kiban-moving/half", "x");
  EXPECT_EQ(move_study(folders.study("s"), elsewhere, ""), elsewhere / "s");
  EXPECT_FALSE(fs::exists(elsewhere / "s/half"));
}

}  // namespace
}  // namespace kiban::test
