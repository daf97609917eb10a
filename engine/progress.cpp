#include "engine/progress.hpp"

#include <algorithm>

namespace kiban::engine {

void Progress::enter(std::string_view stage) {
  stop_clock();
  const auto found = std::ranges::find(stages_, stage, &StageTime::stage);
  current_ = static_cast<std::size_t>(found - stages_.begin());
  if (found == stages_.end()) stages_.push_back({std::string(stage), 0});
  since_ = Clock::now();
  running_ = true;
  tell();
}

void Progress::report(double fraction) {
  fraction_ = std::clamp(fraction, 0.0, 1.0);
  tell();
}

void Progress::finish() { stop_clock(); }

double Progress::seconds(std::string_view stage) const {
  const auto found = std::ranges::find(stages_, stage, &StageTime::stage);
  return found == stages_.end() ? 0 : found->seconds;
}

void Progress::stop_clock() {
  if (running_) stages_[current_].seconds += std::chrono::duration<double>(Clock::now() - since_).count();
  running_ = false;
}

void Progress::check() const {
  if (stop_requested_ && stop_requested_()) throw Cancelled();
}

void Progress::tell() {
  check();
  if (listener_ && running_) listener_(stages_[current_].stage, fraction_);
}

}  // namespace kiban::engine
