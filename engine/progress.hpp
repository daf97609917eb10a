#pragma once
#include <chrono>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace kiban::engine {

/// Thrown out of a run whose caller asked it to stop. Not an error: nothing is wrong.
class Cancelled : public std::exception {
 public:
  const char* what() const noexcept override { return "cancelled"; }
};

/// Wall-clock time spent in one stage of a run, all its visits together.
struct StageTime {
  std::string stage;
  double seconds = 0;
};

/// How a run tells its caller where it is, learns that it should stop, and has its stages timed. One thread at a time.
class Progress {
 public:
  /// Called with the stage and the fraction of the run that is done, 0 to 1.
  using Listener = std::function<void(std::string_view stage, double fraction)>;
  using StopRequest = std::function<bool()>;  ///< asked from any thread of the run

  Progress() = default;
  Progress(Listener listener, StopRequest stop_requested)
      : listener_(std::move(listener)), stop_requested_(std::move(stop_requested)) {}

  /// From here on time counts for `stage`; a stage may be entered again and again. Errors: Cancelled.
  void enter(std::string_view stage);
  /// `fraction` of the whole run is done. Errors: Cancelled.
  void report(double fraction);
  /// Asks whether to stop; from any thread. Errors: Cancelled.
  void check() const;
  /// The last stage ends; the clock stops.
  void finish();

  /// In the order in which they were first entered.
  const std::vector<StageTime>& stages() const { return stages_; }
  /// 0 for a stage that was never entered.
  double seconds(std::string_view stage) const;

 private:
  using Clock = std::chrono::steady_clock;
  void stop_clock();
  void tell();

  Listener listener_;
  StopRequest stop_requested_;
  std::vector<StageTime> stages_;
  std::size_t current_ = 0;  ///< of `stages_`; meaningless while the clock stands
  Clock::time_point since_{};
  bool running_ = false;
  double fraction_ = 0;
};

}  // namespace kiban::engine
