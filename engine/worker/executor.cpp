#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "engine/worker/pipeline.hpp"
#include "engine/worker/worker.hpp"
#include "kernels/core/simd.hpp"

namespace kiban::engine {
namespace {

/// A worker that is gone gets no results: the token is no longer anybody's.
void die_with(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (parent > 0 && getppid() != parent) _exit(1);  // it went before it could be watched
}

void ignore_what_the_group_gets() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ}) signal(number, SIG_IGN);
}

/// What a library prints must not come between the lines: a standard descriptor is moved and what takes its place is
/// harmless.
int taken_over(int descriptor, int substitute) {
  const int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
  dup2(substitute, descriptor);
  return moved;
}

/// Tells the worker, a line a time, before it returns: what was told counts even if the process dies in the next step.
class Teller {
 public:
  explicit Teller(int output) : output_(output) {}

  void tell(const nlohmann::json& message) {
    // A sentence may quote bytes of a file that are no text.
    const std::string line = message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    const std::lock_guard lock(mutex_);
    std::size_t sent = 0;
    while (sent < line.size()) {
      const ssize_t written = write(output_, line.data() + sent, line.size() - sent);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return;  // nobody listens any more; the end of the input will say so
      sent += static_cast<std::size_t>(written);
    }
  }

  /// Steps of a run come by the thousand; each of its stages is told, and of the rest what a person can follow.
  void tell(const Event& event) {
    if (event.kind == Event::Kind::progress && !worth_telling(event)) return;
    if (event.kind == Event::Kind::ended) forget(event.token);
    tell(to_json(event));
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool worth_telling(const Event& event) {
    const std::lock_guard lock(mutex_);
    auto& [stage, when] = last_[event.token];
    if (stage == event.stage && Clock::now() - when < std::chrono::milliseconds(100)) return false;
    stage = event.stage;
    when = Clock::now();
    return true;
  }
  void forget(const std::string& token) {
    const std::lock_guard lock(mutex_);
    last_.erase(token);
  }

  int output_;
  std::mutex mutex_;
  std::map<std::string, std::pair<std::string, Clock::time_point>> last_;
};

/// Lines of a descriptor; waits for them.
class Lines {
 public:
  explicit Lines(int input) : input_(input) {}

  bool next(std::string& line) {
    while (true) {
      const std::size_t end = text_.find('\n', begin_);
      if (end != std::string::npos) {
        line.assign(text_, begin_, end - begin_);
        begin_ = end + 1;
        return true;
      }
      text_.erase(0, begin_);
      begin_ = 0;
      char buffer[1 << 16];
      const ssize_t received = read(input_, buffer, sizeof buffer);
      if (received < 0 && errno == EINTR) continue;
      if (received <= 0) return false;
      text_.append(buffer, static_cast<std::size_t>(received));
    }
  }

 private:
  int input_;
  std::string text_;
  std::size_t begin_ = 0;
};

PipelineOptions pipeline_options(const nlohmann::json& options) {
  const nlohmann::json limits = options.value("limits", nlohmann::json::object());
  PipelineOptions made;
  made.device = parse_device(options.value("device", "auto"));
  made.threads = options.value("threads", 0);
  made.limits.most_jobs = limits.value("most_jobs", made.limits.most_jobs);
  made.limits.host_bytes = limits.value("host_bytes", made.limits.host_bytes);
  made.limits.device_bytes = limits.value("device_bytes", made.limits.device_bytes);
  made.limits.max_delay_s = limits.value("max_delay_s", made.limits.max_delay_s);
  made.limits.most_seconds = limits.value("most_seconds", made.limits.most_seconds);
  return made;
}

int tell_devices(Teller& teller) {
  nlohmann::json names = nlohmann::json::array();
  for (const DeviceDescription& description : devices()) names.push_back(name(description.device));
  teller.tell({{"devices", names}});
  return 0;
}

/// Until the end of the input. Draining waits for what computes, so a thread of its own does it: a job may still be
/// cancelled meanwhile.
void serve(Pipeline& pipeline, Teller& teller, int input) {
  Lines lines(input);
  std::jthread drainer;
  for (std::string line; lines.next(line);) {
    const nlohmann::json message = nlohmann::json::parse(line);
    if (message.contains("assign")) pipeline.add(assignment_from_json(message["assign"]));
    if (message.contains("cancel")) pipeline.cancel(message["cancel"].get<std::string>());
    if (message.contains("drain") && !drainer.joinable())
      drainer = std::jthread([&] {
        pipeline.drain();
        teller.tell({{"drained", true}});
      });
  }
  if (!drainer.joinable()) pipeline.drain();
}

}  // namespace

int run_executor(const Registry& registry, const nlohmann::json& options, int input, int output) {
  die_with(options.value("parent", 0));
  ignore_what_the_group_gets();
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  input = taken_over(input, nothing);
  output = taken_over(output, 2);
  Teller teller(output);
  try {
    if (options.value("probe", false)) return tell_devices(teller);
    pin_instruction_set(options.value("simd", "auto"));
    Pipeline pipeline(registry, pipeline_options(options), [&](const Event& event) { teller.tell(event); });
    teller.tell({{"ready", true}});
    serve(pipeline, teller, input);
    return 0;
  } catch (const Error& error) {
    teller.tell({{"refused", {{"code", static_cast<int>(error.code())}, {"sentence", error.what()}}}});
    return static_cast<int>(error.code());
  }
}

}  // namespace kiban::engine
