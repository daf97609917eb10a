#include "io/output_file.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/io/scratch.hpp"

namespace kiban::io {
namespace {

using test::content_of;
using test::expect_input_error;
using test::Scratch;
using Names = std::vector<std::string>;

void fill(const OutputFile& file, const std::string& bytes) {
  std::ofstream(file.temporary_path(), std::ios::binary) << bytes;
}

TEST(OutputFile, AppearsOnlyWhenCommitted) {
  const Scratch scratch;
  OutputFile file(scratch / "volume.nii.gz");
  EXPECT_EQ(file.temporary_path().parent_path(), scratch.folder());
  EXPECT_EQ(file.temporary_path().filename().string().front(), '.');
  EXPECT_TRUE(file.temporary_path().string().ends_with(".nii.gz"));
  fill(file, "content");
  EXPECT_FALSE(std::filesystem::exists(scratch / "volume.nii.gz"));
  file.commit();
  EXPECT_EQ(scratch.names(), Names{"volume.nii.gz"});
  EXPECT_EQ(content_of(scratch / "volume.nii.gz"), "content");
}

TEST(OutputFile, LeavesNothingAndKeepsTheOldFileWithoutCommit) {
  const Scratch scratch;
  scratch.write("volume.mha", "old");
  {
    const OutputFile file(scratch / "volume.mha");
    fill(file, "new");
  }
  EXPECT_EQ(scratch.names(), Names{"volume.mha"});
  EXPECT_EQ(content_of(scratch / "volume.mha"), "old");
}

TEST(OutputFile, ReplacesTheOldFileOnCommit) {
  const Scratch scratch;
  scratch.write("volume.mha", "old and longer");
  OutputFile file(scratch / "volume.mha");
  fill(file, "new");
  file.commit();
  EXPECT_EQ(content_of(scratch / "volume.mha"), "new");
  EXPECT_EQ(scratch.names(), Names{"volume.mha"});
}

TEST(OutputFile, TwoOutputsOfOneNameDoNotMeet) {
  const Scratch scratch;
  OutputFile first(scratch / "a.xml"), second(scratch / "a.xml");
  EXPECT_NE(first.temporary_path(), second.temporary_path());
}

TEST(OutputFile, SaysWhatIsWrongWithTheName) {
  const Scratch scratch;
  expect_input_error([&] { OutputFile(scratch / "missing/volume.mha"); },
                     {"missing/volume.mha", "does not exist", "create"});
  expect_input_error([&] { OutputFile(scratch.folder()); }, {scratch.folder().string(), "folder"});
  expect_input_error([&] { OutputFile("/dev/null"); }, {"/dev/null", "not a plain file"});
  expect_input_error([&] { OutputFile(""); }, {"file name"});
  scratch.write("file", "");
  expect_input_error([&] { OutputFile(scratch / "file/volume.mha"); }, {"volume.mha"});
  EXPECT_EQ(scratch.names(), Names{"file"});
}

TEST(OutputFile, SaysThatTheFolderIsClosed) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const Scratch scratch;
  chmod(scratch.folder().c_str(), 0500);
  expect_input_error([&] { OutputFile(scratch / "volume.mha"); }, {"volume.mha", "permission"});
  chmod(scratch.folder().c_str(), 0700);
}

TEST(OutputFile, SignalHandlersCanRemoveWhatIsPartial) {
  const Scratch scratch;
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGTERM, [](int) {
      remove_partial_outputs();
      _exit(7);
    });
    OutputFile committed(scratch / "committed.txt");
    committed.commit();
    const OutputFile first(scratch / "a.mha"), second(scratch / "b.xml");
    raise(SIGTERM);
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(scratch.names(), Names{"committed.txt"});
}

TEST(WriteError, NamesTheRemedy) {
  EXPECT_NE(std::string(write_error("out/a.mha", ENOSPC).what()).find("disk is full"), std::string::npos);
  EXPECT_NE(std::string(write_error("out/a.mha", EACCES).what()).find("no permission"), std::string::npos);
  EXPECT_NE(std::string(write_error("a.mha", ENOENT).what()).find("folder . does not exist"), std::string::npos);
  EXPECT_EQ(write_error("a.mha", EIO).code(), ErrorCode::input);
}

TEST(ErrnoOfGrowth, AsksTheSystem) {
  const Scratch scratch;
  const auto path = scratch.write("file", "");
  EXPECT_EQ(errno_of_growth(path), 0);
  EXPECT_EQ(errno_of_growth(scratch / "missing/file"), ENOENT);
}

}  // namespace
}  // namespace kiban::io
