#include "engine/watch_folder/study.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "engine/progress.hpp"
#include "tests/engine/watch_folder/small_registry.hpp"

namespace kiban::test {
namespace {

namespace fs = std::filesystem;
using engine::content_key;
using engine::look_at;
using engine::Study;

const auto kNever = [] { return false; };

struct OneStudy {
  Folder folder;
  fs::path path = folder / "study";
  OneStudy() {
    write_text(path / "a.mha", "first");
    write_text(path / "b/c.xml", "second");
  }
  Study look(const std::string& marker = "") const { return look_at(path, marker).value(); }
};

TEST(LookAtStudy, ListsFilesBelowItAndNotTheHidden) {
  const OneStudy study;
  write_text(study.path / ".part", "x");
  write_text(study.path / ".hidden/inner", "x");
  write_text(study.path / "DONE", "");
  EXPECT_EQ(study.look("DONE").files, (std::vector<std::string>{"a.mha", "b/c.xml"}));
  EXPECT_TRUE(study.look("DONE").marked);
  EXPECT_FALSE(study.look().marked);
  EXPECT_EQ(study.look().files.size(), 3);
  write_text(study.path / "b/DONE2", "");
  EXPECT_FALSE(study.look("DONE2").marked) << "a marker lies in the study's own folder";
  EXPECT_FALSE(look_at(study.folder / "none", ""));
  EXPECT_FALSE(look_at(study.path / "a.mha", ""));
}

TEST(LookAtStudy, EveryChangeIsSeen) {
  const OneStudy study;
  std::set<std::string> seen = {study.look().fingerprint};
  EXPECT_EQ(study.look().fingerprint, *seen.begin());
  const auto expect_new = [&](const char* what) { EXPECT_TRUE(seen.insert(study.look().fingerprint).second) << what; };
  write_text(study.path / "new", "");
  expect_new("a file");
  write_text(study.path / "new", "1");
  expect_new("growth");
  write_text(study.path / "new", "2");
  expect_new("other bytes of the same length");
  write_text(study.path / ".part", "1");
  expect_new("a hidden file");
  write_text(study.path / ".part", "12");
  expect_new("growth of a hidden file");
  fs::rename(study.path / "new", study.path / "newer");
  expect_new("another name");
  fs::remove(study.path / "newer");
  expect_new("a removal");
  fs::create_directory(study.path / "b/d");
  expect_new("an empty folder");
}

TEST(LookAtStudy, LinksAndSpecialFilesAreRefusedNotFollowed) {
  for (const bool link : {true, false}) {
    const OneStudy study;
    EXPECT_EQ(study.look().refusal, "");
    if (link)
      fs::create_symlink("/etc/passwd", study.path / "b/link");
    else
      ASSERT_EQ(mkfifo((study.path / "b/pipe").c_str(), 0600), 0);
    EXPECT_NE(study.look().refusal.find("link"), std::string::npos);
    EXPECT_EQ(study.look().files.size(), 2);
  }
  const OneStudy study;
  fs::create_directory_symlink("/", study.path / "root");
  EXPECT_EQ(study.look().files.size(), 2);
  fs::create_directory_symlink(study.path, study.folder / "alias");
  EXPECT_FALSE(look_at(study.folder / "alias", ""));
}

TEST(LookAtStudy, DepthIsBounded) {
  const OneStudy study;
  fs::path deep = study.path;
  for (int i = 0; i < 40; ++i) deep /= "d";
  write_text(deep / "file", "x");
  EXPECT_NE(study.look().refusal.find("levels"), std::string::npos);
}

TEST(LookAtStudy, NamesThatAreNotUtf8AreRefused) {
  const OneStudy study;
  write_text(study.path / "\xff\xfe", "x");
  EXPECT_NE(study.look().refusal.find("UTF-8"), std::string::npos);
  write_text(study.folder / "bad\xff/a", "x");
  EXPECT_NE(look_at(study.folder / "bad\xff", "")->refusal.find("UTF-8"), std::string::npos);
}

TEST(ContentKey, IsOfNamesAndContentsAlone) {
  const OneStudy one, two;
  write_text(two.path / "DONE", "marker");
  write_text(two.path / ".hidden", "x");
  fs::rename(two.path, two.folder / "another name");
  const Study other = look_at(two.folder / "another name", "DONE").value();
  const std::string key = content_key(one.look(), kNever);
  EXPECT_EQ(key.size(), 64);
  EXPECT_EQ(content_key(other, kNever), key);

  std::set<std::string> seen = {key};
  const auto expect_new = [&](const OneStudy& study) {
    EXPECT_TRUE(seen.insert(content_key(study.look(), kNever)).second);
  };
  OneStudy changed;
  write_text(changed.path / "a.mha", "First");
  expect_new(changed);
  write_text(changed.path / "a.mha", "");
  expect_new(changed);
  const OneStudy renamed;
  fs::rename(renamed.path / "a.mha", renamed.path / "A.mha");
  expect_new(renamed);
  const OneStudy moved;  // the same bytes, otherwise divided among names
  write_text(moved.path / "a.mha", "firs");
  write_text(moved.path / "b/c.xml", "tsecond");
  expect_new(moved);
}

TEST(ContentKey, MatchesWhatSha256sumGives) {
  const OneStudy study;  // the definition, by another program
  const Finished finished =
      run({"sh", "-c",
           "cd \"$0\" && { printf 'kiban study 1\\n'; printf '\\005\\0\\0\\0\\0\\0\\0\\0a.mha'; "
           "sha256sum a.mha | cut -c1-64 | tr -d '\\n'; printf '\\007\\0\\0\\0\\0\\0\\0\\0b/c.xml'; "
           "sha256sum b/c.xml | cut -c1-64 | tr -d '\\n'; } | sha256sum | cut -c1-64",
           study.path.string()});
  EXPECT_EQ(finished.out, content_key(study.look(), kNever) + "\n");
}

TEST(ContentKey, StopsAndRefuses) {
  const OneStudy study;
  const Study seen = study.look();
  EXPECT_THROW(content_key(seen, [] { return true; }), engine::Cancelled);
  fs::remove(study.path / "b/c.xml");
  EXPECT_NE(complaint([&] { content_key(seen, kNever); }, ErrorCode::input).find("file 2 of 2"), std::string::npos);
  ASSERT_EQ(mkfifo((study.path / "b/c.xml").c_str(), 0600), 0);  // would block for ever
  EXPECT_NE(complaint([&] { content_key(seen, kNever); }, ErrorCode::input), "");
  fs::remove(study.path / "b/c.xml");
  fs::create_symlink("/etc/passwd", study.path / "b/c.xml");
  EXPECT_NE(complaint([&] { content_key(seen, kNever); }, ErrorCode::input), "");
}

}  // namespace
}  // namespace kiban::test
