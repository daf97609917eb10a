#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "tests/engine/watch_folder/watched_folder.hpp"

namespace {

// Where this process kills itself, and how often it passes there before.
const char* deadly_point = nullptr;
int passes = 0;

}  // namespace

extern "C" void kiban_fault_point(const char* name) {
  if (deadly_point && std::strcmp(name, deadly_point) == 0 && passes-- == 0) kill(getpid(), SIGKILL);
}

namespace kiban::test {
namespace {

namespace fs = std::filesystem;

/// Watches in a process of its own, which is killed at the point. False where it never came there.
bool watch_and_die(const Watched& watched, const char* point, int passes_before) {
  const pid_t child = fork();
  if (child == 0) {
    deadly_point = point;
    passes = passes_before;
    Watched again(watched.folder);
    again.settle();
    again.succeed();
    again.look(10);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

TEST(KilledWatcher, SubmitsNothingTwiceAndLosesNoStudy) {
  for (const char* point : {"watch.submit", "watch.submitted", "watch.reason", "watch.move"})
    for (const int passes_before : {0, 1}) {
      SCOPED_TRACE(std::string(point) + " " + std::to_string(passes_before));
      Watched watched;
      watched.drop_head("s", "1");
      watched.drop_head("t", "2");
      write_text(watched.in / "u/x", "3");
      write_text(watched.in / "v/x", "4");
      watched.watcher.reset();
      watched.queue.reset();
      EXPECT_TRUE(watch_and_die(watched, point, passes_before));
      EXPECT_FALSE(watch_and_die(watched, "nowhere", 0));

      watched.open();
      EXPECT_EQ(watched.jobs().size(), 2);
      for (const char* name : {"s", "t"}) {
        EXPECT_FALSE(fs::exists(watched.in / name));
        EXPECT_EQ(read_text(watched.done / name / "v.mha"), name == std::string("s") ? "1" : "2");
      }
      for (const char* name : {"u", "v"}) {
        EXPECT_FALSE(fs::exists(watched.in / name));
        EXPECT_EQ(read_text(watched.unmatched / name / "x"), name == std::string("u") ? "3" : "4");
        EXPECT_NE(watched.reason(name), "");
      }
      EXPECT_EQ(std::distance(fs::directory_iterator(watched.unmatched), {}), 4);
      EXPECT_EQ(std::distance(fs::directory_iterator(watched.done), {}), 2);
    }
}

}  // namespace
}  // namespace kiban::test
