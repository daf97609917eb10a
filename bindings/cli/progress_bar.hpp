#pragma once
#include <string>
#include <string_view>

namespace kiban::cli {

/// One line on standard error that is drawn over itself, where that is a terminal; nothing else anywhere.
class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(std::string_view stage, double fraction);
  /// Leaves an empty line, for what is printed next.
  void clear();

 private:
  bool on_terminal_;
  std::string drawn_;
};

}  // namespace kiban::cli
