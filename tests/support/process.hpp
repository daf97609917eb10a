#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

/// Programs started by a test, and the folders that they work in.
namespace kiban::test {

/// A folder of this test's own, empty at first, removed with everything in it.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "kiban-test-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  const std::filesystem::path& path() const { return path_; }

  /// Names of everything in it, hidden files too, sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      found.push_back(entry.path().filename().string());
    std::ranges::sort(found);
    return found;
  }

 private:
  std::filesystem::path path_;
};

inline std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Finished {
  int status = -1;  ///< exit status, or 1000 + the signal that killed it
  std::string out, err;
};

/// A running program whose standard output and error go to files of its own.
class Process {
 public:
  explicit Process(const std::vector<std::string>& command) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, (folder_ / "out").c_str(), O_WRONLY | O_CREAT, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, (folder_ / "err").c_str(), O_WRONLY | O_CREAT, 0600);
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    if (posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
  }

  void signal(int number) const { kill(pid_, number); }

  bool running() {
    if (!waited_ && pid_ > 0 && waitpid(pid_, &status_, WNOHANG) == pid_) waited_ = true;
    return pid_ > 0 && !waited_;
  }

  Finished wait() {
    if (!waited_ && pid_ > 0) waitpid(pid_, &status_, 0);
    waited_ = true;
    Finished finished;
    if (pid_ > 0) finished.status = WIFEXITED(status_) ? WEXITSTATUS(status_) : 1000 + WTERMSIG(status_);
    finished.out = read_text(folder_ / "out");
    finished.err = read_text(folder_ / "err");
    return finished;
  }

 private:
  Folder folder_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool waited_ = false;
};

inline Finished run(const std::vector<std::string>& command) { return Process(command).wait(); }

}  // namespace kiban::test
