#include "kernels/core/fork.hpp"

#include <pthread.h>

#include <atomic>

namespace kiban {
namespace {

std::atomic<bool> is_child{false};

}  // namespace

bool forked() noexcept {
  [[maybe_unused]] static const int watching = pthread_atfork(nullptr, nullptr, [] { is_child = true; });
  return is_child;
}

}  // namespace kiban
