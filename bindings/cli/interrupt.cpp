#include "bindings/cli/interrupt.hpp"

#include <unistd.h>

#include <atomic>
#include <csignal>

#include "io/output_file.hpp"

namespace kiban::cli {
namespace {

std::atomic<int> first_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a handler may only touch lock-free memory");

extern "C" void on_signal(int signal) {
  int none = 0;
  if (first_signal.compare_exchange_strong(none, signal)) return;
  io::remove_partial_outputs();
  _exit(128 + signal);
}

}  // namespace

void watch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction inherited {};
    sigaction(signal, nullptr, &inherited);  // nohup, or a shell's background job, said to ignore it
    if (inherited.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
  }
  // A file beyond the user's limit is then a failed write with a sentence, not a killed process.
  signal(SIGXFSZ, SIG_IGN);
}

int received_signal() { return first_signal.load(); }

}  // namespace kiban::cli
