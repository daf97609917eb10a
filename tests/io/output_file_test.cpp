#include "io/output_file.hpp"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <memory>
#include <thread>

#include "tests/io/scratch.hpp"
#include "tests/support/recorded_flushes.hpp"

namespace kiban::io {
namespace {

using test::content_of;
using test::expect_input_error;
using test::flushes;
using test::Scratch;
using Names = std::vector<std::string>;

void fill(const OutputFile& file, const std::string& bytes) {
  std::ofstream(file.temporary_path(), std::ios::binary) << bytes;
}

// From here on link(2) fails in this process, as the kernel's filter for system calls can make it.
void refuse_hard_links() {
  std::vector<sock_filter> rules{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
#ifdef SYS_link
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_link, 1, 0),
#endif
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_linkat, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{static_cast<unsigned short>(rules.size()), rules.data()};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
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

/// Runs `work` as a user who may not do everything.
void expect_input_error_as_a_user(const std::function<void()>& work, const Names& words) {
  if (geteuid() != 0) return expect_input_error(work, words);
  const pid_t child = fork();
  if (child == 0) {
    constexpr uid_t nobody = 65534;
    if (setgid(nobody) == 0 && setuid(nobody) == 0) expect_input_error(work, words);
    _exit(testing::Test::HasFailure() || geteuid() == 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(OutputFile, SaysThatTheFolderIsClosed) {
  const Scratch scratch;
  chmod(scratch.folder().c_str(), 0555);
  expect_input_error_as_a_user([&] { OutputFile(scratch / "volume.mha"); }, {"volume.mha", "permission"});
  chmod(scratch.folder().c_str(), 0700);
}

TEST(OutputFile, LeavesWhatIsWriteProtected) {
  const Scratch scratch;
  chmod(scratch.folder().c_str(), 0777);
  const auto path = scratch.write("volume.mha", "precious");
  chmod(path.c_str(), 0444);
  expect_input_error_as_a_user([&] { OutputFile(path).commit(); }, {"volume.mha", "write-protected"});
  EXPECT_EQ(content_of(path), "precious");
}

TEST(OutputFile, WritesWhatALinkPointsTo) {
  const Scratch scratch, elsewhere;
  elsewhere.write("real.mha", "old");
  std::filesystem::create_symlink(elsewhere / "real.mha", scratch / "link.mha");
  std::filesystem::create_symlink("link.mha", scratch / "second.mha");
  std::filesystem::create_symlink(elsewhere / "new.mha", scratch / "dangling.mha");
  std::filesystem::create_symlink("round.mha", scratch / "round.mha");
  const Names links = scratch.names();
  for (const char* name : {"second.mha", "dangling.mha"}) {
    OutputFile file(scratch / name);
    EXPECT_EQ(file.path(), scratch / name);
    EXPECT_EQ(scratch.names(), links) << "the hidden file belongs where the file will be";
    fill(file, name);
    file.commit();
    EXPECT_TRUE(std::filesystem::is_symlink(scratch / name));
  }
  EXPECT_EQ(content_of(elsewhere / "real.mha"), "second.mha");
  EXPECT_EQ(content_of(elsewhere / "new.mha"), "dangling.mha");
  EXPECT_EQ(scratch.names(), links);
  EXPECT_EQ(elsewhere.names(), (Names{"new.mha", "real.mha"}));
  expect_input_error([&] { OutputFile(scratch / "round.mha"); }, {"round.mha", "links"});
}

TEST(OutputFile, KeepsThePermissionsOfWhatItReplaces) {
  const Scratch scratch;
  const auto path = scratch.write("patient.mha", "old");
  chmod(path.c_str(), 0600);
  OutputFile(path).commit();
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms{0600});
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

// Signals arrive on any thread at any moment of a file's life: none may leave a file, crash or wait for itself.
TEST(OutputFile, ASignalAtAnyMomentLeavesNothing) {
  for (int round = 0; round < 30; ++round) {
    const Scratch scratch;
    const pid_t child = fork();
    if (child == 0) {
      struct sigaction action {};
      action.sa_handler = [](int) {
        remove_partial_outputs();
        _exit(7);
      };
      for (const int signal : {SIGTERM, SIGUSR1}) sigaction(signal, &action, nullptr);
      const auto work = [&](int first) {
        for (int i = first;; i += 2) OutputFile(scratch / (std::to_string(i) + ".mha"));
      };
      std::thread(work, 0).detach();
      work(1);
    }
    while (scratch.names().empty()) std::this_thread::yield();
    kill(child, SIGTERM);
    kill(child, SIGUSR1);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
    ASSERT_EQ(WEXITSTATUS(status), 7);
    ASSERT_EQ(scratch.names(), Names{}) << "round " << round;
  }
}

TEST(OutputFile, AChildOfForkLeavesTheParentsFilesAlone) {
  const Scratch scratch;
  auto file = std::make_unique<OutputFile>(scratch / "a.mha");
  const pid_t child = fork();
  if (child == 0) {
    file.reset();
    remove_partial_outputs();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  file->commit();
  EXPECT_EQ(scratch.names(), Names{"a.mha"});
}

TEST(CommitTogether, GivesAllTheirNames) {
  const Scratch scratch, other;
  scratch.write("volume.mha", "old");
  OutputFile volume(scratch / "volume.mha"), preview(other / "preview.png");
  fill(volume, "new");
  fill(preview, "picture");
  commit_together({&volume, nullptr, &preview});
  EXPECT_EQ(scratch.names(), Names{"volume.mha"});
  EXPECT_EQ(content_of(scratch / "volume.mha"), "new");
  EXPECT_EQ(content_of(other / "preview.png"), "picture");
  EXPECT_EQ(other.names(), Names{"preview.png"});
}

TEST(CommitTogether, GivesNoneItsNameWhereOneCannotBeFlushed) {
  const Scratch scratch;
  scratch.write("volume.mha", "old");
  {
    OutputFile volume(scratch / "volume.mha"), geometry(scratch / "g.xml"), preview(scratch / "preview.png");
    fill(volume, "new");
    std::filesystem::remove(preview.temporary_path());
    expect_input_error([&] { commit_together({&volume, &geometry, &preview}); }, {"preview.png"});
  }
  EXPECT_EQ(scratch.names(), Names{"volume.mha"});
  EXPECT_EQ(content_of(scratch / "volume.mha"), "old");
}

TEST(CommitTogether, TakesNamesBackWhereALaterOneCannotBeGiven) {
  const Scratch scratch;
  const auto old = scratch.write("volume.mha", "old");
  const auto inode = [&] {
    struct stat status {};
    stat(old.c_str(), &status);
    return status.st_ino;
  };
  const ino_t before = inode();
  {
    OutputFile volume(scratch / "volume.mha"), geometry(scratch / "g.xml"), preview(scratch / "preview.png");
    fill(volume, "new");
    std::filesystem::create_directories(scratch / "preview.png/in the way");
    expect_input_error([&] { commit_together({&volume, &geometry, &preview}); }, {"preview.png", "cannot be written"});
  }
  EXPECT_EQ(scratch.names(), (Names{"preview.png", "volume.mha"}));
  EXPECT_EQ(content_of(old), "old");
  EXPECT_EQ(inode(), before) << "the very file, not a copy";
}

// As on FAT: the file that is replaced cannot have a second name meanwhile.
TEST(CommitTogether, TakesNamesBackWithoutHardLinksToo) {
  const Scratch scratch;
  scratch.write("volume.mha", "old");
  scratch.write("kept.mha", "old");
  const pid_t child = fork();
  if (child == 0) {
    refuse_hard_links();
    const int linked = link((scratch / "kept.mha").c_str(), (scratch / "second name").c_str());
    OutputFile(scratch / "kept.mha").commit();
    const bool refused = [&] {
      OutputFile volume(scratch / "volume.mha"), preview(scratch / "preview.png");
      std::filesystem::create_directories(scratch / "preview.png/in the way");
      try {
        commit_together({&volume, &preview});
      } catch (const Error&) {
        return true;
      }
      return false;
    }();
    _exit(linked != 0 && refused ? 7 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(scratch.names(), (Names{"kept.mha", "preview.png", "volume.mha"}));
  EXPECT_EQ(content_of(scratch / "volume.mha"), "old");
  EXPECT_EQ(content_of(scratch / "kept.mha"), "");
}

TEST(FlushByCaller, WithoutItAllIsFlushedBeforeTheCommitReturns) {
  const Scratch scratch, other;
  OutputFile volume(scratch / "volume.mha"), preview(other / "preview.png");
  flushes().forget();
  commit_together({&volume, &preview});
  for (const auto& path : {scratch / "volume.mha", other / "preview.png"}) {
    EXPECT_EQ(flushes().of(path), 1);
    EXPECT_GT(flushes().first(path.parent_path()), flushes().last(path));
  }
}

TEST(FlushByCaller, GivesNamesAndFlushesNothingOnItsThreadWhileItLives) {
  const Scratch scratch;
  const auto committed = [&](const std::string& name) {
    OutputFile file(scratch / name);
    fill(file, name);
    const std::size_t before = flushes().count();
    file.commit();
    EXPECT_EQ(content_of(scratch / name), name);
    return flushes().count() - before;
  };
  scratch.write("replaced", "old");
  {
    const FlushByCaller outer;
    EXPECT_EQ(committed("first"), 0U);
    EXPECT_EQ(committed("replaced"), 0U);
    {
      const FlushByCaller inner;
      EXPECT_EQ(committed("second"), 0U);
    }
    EXPECT_EQ(committed("third"), 0U) << "the outer one lives on";
    std::thread([&] { EXPECT_EQ(committed("other thread"), 2U); }).join();
  }
  EXPECT_EQ(committed("last"), 2U) << "file and folder";
  EXPECT_EQ(scratch.names(), (Names{"first", "last", "other thread", "replaced", "second", "third"}));
}

TEST(FlushByCaller, StillGivesAllNamesOrNone) {
  const Scratch scratch;
  scratch.write("volume.mha", "old");
  {
    const FlushByCaller scope;
    OutputFile volume(scratch / "volume.mha"), preview(scratch / "preview.png");
    fill(volume, "new");
    std::filesystem::remove(preview.temporary_path());
    expect_input_error([&] { commit_together({&volume, &preview}); }, {"preview.png"});
  }
  EXPECT_EQ(scratch.names(), Names{"volume.mha"});
  EXPECT_EQ(content_of(scratch / "volume.mha"), "old");
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
