#include "engine/worker/executor_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>

#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

/// Above the standard ones, which a spawned child has replaced one by one.
int moved_up(int descriptor) {
  if (descriptor < 0 || descriptor > 2) return descriptor;
  const int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
  close(descriptor);
  return moved;
}

/// A child that has `end` as standard input and output, and nothing that the parent ignores, blocks or handles.
int spawn(const std::vector<std::string>& command, int end, pid_t& pid) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, end, 0);
  posix_spawn_file_actions_adddup2(&files, end, 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t set;
  sigemptyset(&set);
  posix_spawnattr_setsigmask(&attributes, &set);
  sigfillset(&set);
  posix_spawnattr_setsigdefault(&attributes, &set);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const int failed = posix_spawnp(&pid, arguments[0], &files, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return failed;
}

std::string described(int status) {
  if (!WIFSIGNALED(status)) return fmt::format("status {}", WEXITSTATUS(status));
  const char* name = sigabbrev_np(WTERMSIG(status));
  return fmt::format("signal {} (SIG{})", WTERMSIG(status), name ? name : "?");
}

}  // namespace

ExecutorProcess::ExecutorProcess(std::vector<std::string> command, nlohmann::json options) {
  options["parent"] = getpid();
  command.push_back(options.dump());
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw Error(ErrorCode::internal, fmt::format("no channel to an executor: {}", std::strerror(errno)));
  socket_ = moved_up(ends[0]);
  const int theirs = moved_up(ends[1]);
  const int failed = spawn(command, theirs, pid_);
  close(theirs);
  if (failed == 0) return;
  close(socket_);
  throw Error(ErrorCode::internal, fmt::format("an executor cannot be begun: {}", std::strerror(failed)));
}

ExecutorProcess::~ExecutorProcess() {
  kill();
  wait();
  close(socket_);
}

void ExecutorProcess::send(const nlohmann::json& line) {
  unsent_ += line.dump();
  unsent_ += '\n';
}

void ExecutorProcess::send_unsent() {
  while (!unsent_.empty()) {
    const ssize_t sent = ::send(socket_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    // Whoever is gone needs nothing; the end of what it told says so.
    unsent_.erase(0, sent < 0 ? unsent_.size() : static_cast<std::size_t>(sent));
  }
}

bool ExecutorProcess::exchange(std::vector<std::string>& lines) {
  send_unsent();
  char buffer[1 << 16];
  bool open = true;
  while (true) {
    const ssize_t received = recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT);
    if (received < 0 && errno == EINTR) continue;
    open = received > 0 || (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
    if (received <= 0) break;
    partial_.append(buffer, static_cast<std::size_t>(received));
  }
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = partial_.find('\n', begin)) != std::string::npos; begin = end + 1)
    lines.push_back(partial_.substr(begin, end - begin));
  partial_.erase(0, begin);
  return open;
}

void ExecutorProcess::kill() const {
  if (!waited_) ::kill(pid_, SIGKILL);
}

std::size_t ExecutorProcess::resident_bytes() const {
  std::ifstream file(fmt::format("/proc/{}/statm", pid_));
  std::size_t all = 0, resident = 0;
  return file >> all >> resident ? resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) : 0;
}

std::string ExecutorProcess::wait() {
  while (!waited_ && waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
  }
  waited_ = true;
  return described(status_);
}

std::vector<std::string> own_executor_command() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  // The link itself would do for a file that was replaced while this program runs, but names nothing in `ps`.
  const std::string target(path, length > 0 ? static_cast<std::size_t>(length) : 0);
  return {access(target.c_str(), X_OK) == 0 ? target : "/proc/self/exe", "executor"};
}

std::vector<std::string> probe_devices(const std::vector<std::string>& command) {
  ExecutorProcess child(command, {{"probe", true}});
  const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  std::vector<std::string> lines;
  for (bool open = true; open && lines.empty() && std::chrono::steady_clock::now() < until;) {
    pollfd watched{child.descriptor(), POLLIN, 0};
    poll(&watched, 1, 100);
    open = child.exchange(lines);
  }
  const nlohmann::json answer = lines.empty() ? nlohmann::json() : nlohmann::json::parse(lines.front(), nullptr, false);
  if (!answer.is_object() || !answer.contains("devices"))
    throw Error(ErrorCode::internal, "the executor does not say which devices there are; name one with --device");
  return answer["devices"].get<std::vector<std::string>>();
}

}  // namespace kiban::engine
