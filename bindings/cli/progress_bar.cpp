#include "bindings/cli/progress_bar.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace kiban::cli {

ProgressBar::ProgressBar() : on_terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressBar::show(std::string_view stage, double fraction) {
  if (!on_terminal_) return;
  constexpr int kWidth = 40;
  const int filled = static_cast<int>(fraction * kWidth);
  const std::string line =
      fmt::format("[{:#<{}}{:.<{}}] {:3.0f} % {}", "", filled, "", kWidth - filled, 100 * fraction, stage);
  if (line == drawn_) return;  // a terminal is slower than a step of a run
  drawn_ = line;
  fmt::print(stderr, "\r{}\x1b[K", line);
  std::fflush(stderr);
}

void ProgressBar::clear() {
  if (drawn_.empty()) return;
  drawn_.clear();
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
}

}  // namespace kiban::cli
