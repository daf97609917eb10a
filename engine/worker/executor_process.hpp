#pragma once
#include <sys/types.h>

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace kiban::engine {

/// A program that was begun afresh (never a fork that goes on), and that one talks with in JSON lines over its standard
/// input and output. It holds none of our descriptors. Destroying it kills it.
class ExecutorProcess {
 public:
  /// `options` follow the command as one argument, with "parent" added: with it the process dies.
  /// Errors: internal (it cannot be begun).
  ExecutorProcess(std::vector<std::string> command, nlohmann::json options);
  ~ExecutorProcess();
  ExecutorProcess(const ExecutorProcess&) = delete;
  ExecutorProcess& operator=(const ExecutorProcess&) = delete;

  int descriptor() const { return socket_; }            ///< to poll
  bool has_unsent() const { return !unsent_.empty(); }  ///< poll for writing, too
  void send(const nlohmann::json& line);                ///< never waits: what does not fit is sent by `exchange`
  /// Sends what it can, and appends the whole lines that have come. Never waits. False: the other side has closed.
  bool exchange(std::vector<std::string>& lines);

  void kill() const;
  std::size_t resident_bytes() const;  ///< 0 where it is not known
  /// Waits for its end, and says what it was: "signal 11 (SIGSEGV)", "status 3".
  std::string wait();

 private:
  void send_unsent();

  pid_t pid_ = -1;
  int socket_ = -1;
  bool waited_ = false;
  int status_ = 0;
  std::string unsent_, partial_;
};

/// The program that runs now, as a command that begins its executor.
std::vector<std::string> own_executor_command();

/// Names of the devices of this machine, as a child tells that is begun to be asked: to ask for them initialises the
/// driver. Errors: internal (it does not answer within a minute).
std::vector<std::string> probe_devices(const std::vector<std::string>& command);

}  // namespace kiban::engine
