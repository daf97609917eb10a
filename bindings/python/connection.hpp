#pragma once
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <utility>

#include "engine/queue/queue.hpp"

namespace kiban::python {

/// A queue that stays usable through a fork.
///
/// SQLite keeps one account of a file's locks for the whole process. A child inherits the account, not the locks: it
/// would write to a file that its parent, as the last to close it, may fold up and remove. So no connection is open
/// while the process forks: it is closed before, waiting for calls of other threads, and each side opens its own at its
/// next call.
class Connection {
 public:
  /// Errors: those of engine::open_queue.
  explicit Connection(std::string url);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// What `call` returns, given the queue. From any thread, without the interpreter's lock, or a fork would wait for
  /// ever. Errors: those of the call; those of engine::open_queue.
  template <class Call>
  auto with(const Call& call) {
    const std::shared_lock in_use(gate_->of_forks);
    return call(opened());
  }

  void close_before_fork();
  void after_fork(bool in_child);

 private:
  struct Gate {
    std::shared_mutex of_forks;  ///< shared by calls, taken alone by a fork
    std::mutex of_opening;
  };

  engine::Queue& opened();
  void leave();

  std::string url_;
  std::unique_ptr<Gate> gate_ = std::make_unique<Gate>();
  std::unique_ptr<engine::Queue> queue_;
};

/// To be called around each fork of the process, in this order. Python does: its hooks come before those of the engine,
/// which refuses a queue to the child of a process that has it open.
void before_fork();
void after_fork_in_parent();
void after_fork_in_child();

}  // namespace kiban::python
