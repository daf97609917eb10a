#include "bindings/python/connection.hpp"

#include <set>

namespace kiban::python {
namespace {

/// Every connection of the process. Never destroyed: a fork may come while the process ends.
struct Connections {
  std::mutex mutex;
  std::set<Connection*> all;
};
Connections* connections = new Connections;

}  // namespace

void before_fork() {
  connections->mutex.lock();
  for (Connection* each : connections->all) each->close_before_fork();
}

void after_fork_in_parent() {
  for (Connection* each : connections->all) each->after_fork(false);
  connections->mutex.unlock();
}

/// Under another thread id: what was locked for the fork is not the child's to unlock, but to replace.
void after_fork_in_child() {
  for (Connection* each : connections->all) each->after_fork(true);
  auto* fresh = new Connections;
  fresh->all.swap(connections->all);
  connections = fresh;
}

Connection::Connection(std::string url) : url_(std::move(url)) {
  {
    const std::lock_guard lock(connections->mutex);
    connections->all.insert(this);
  }
  try {
    with([](engine::Queue&) {});
  } catch (...) {
    leave();
    throw;
  }
}

Connection::~Connection() { leave(); }

/// A fork finds it closed, or does not find it and it is closed.
void Connection::leave() {
  const std::lock_guard lock(connections->mutex);
  queue_.reset();
  connections->all.erase(this);
}

engine::Queue& Connection::opened() {
  const std::lock_guard lock(gate_->of_opening);
  if (!queue_) queue_ = engine::open_queue(url_);
  return *queue_;
}

void Connection::close_before_fork() {
  gate_->of_forks.lock();
  queue_.reset();
}

void Connection::after_fork(bool in_child) {
  if (!in_child) return gate_->of_forks.unlock();
  gate_.release();  // nobody may destroy what is locked
  gate_ = std::make_unique<Gate>();
}

}  // namespace kiban::python
