#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace kiban {

/// Threads that run at once and meet again and again, for work in thousands of steps of which each needs what all did
/// in the one before. `parallel_for` is the usual way; but its bodies may run one after another, so that they must not
/// wait for each other, and a call costs as much as some thousand voxels.
class Team {
 public:
  explicit Team(int size) : size_(size) {}
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }

  /// Calls `body(member)` for members 0 (on the caller's thread) to size - 1, each on a thread of its own. All have to
  /// call `meet` equally often. Once. Errors: what a body throws first; the other members leave when they meet next.
  template <class Body>
  void run(const Body& body) {
    const auto guarded = [this](const auto& work) {
      try {
        work();
      } catch (const Left&) {
      } catch (...) {
        fail(std::current_exception());
      }
    };
    std::vector<std::jthread> others;
    guarded([&] {
      for (int member = 1; member < size_; ++member)
        others.emplace_back([&guarded, &body, member] { guarded([&] { body(member); }); });
      body(0);
    });
    for (std::jthread& other : others) other.join();
    if (failure_) std::rethrow_exception(failure_);
  }

  /// For bodies: returns when all members have called it, and sees what they wrote before. Whoever waits for long
  /// sleeps.
  void meet();

 private:
  /// Thrown to members that meet when another has failed.
  struct Left {};
  static constexpr std::uint32_t kFailed = 0xFFFFFFFF;

  void fail(std::exception_ptr failure);

  const int size_;
  std::mutex mutex_;
  std::exception_ptr failure_;
  alignas(64) std::atomic<int> came_{0};
  alignas(64) std::atomic<std::uint32_t> round_{0};
};

}  // namespace kiban
