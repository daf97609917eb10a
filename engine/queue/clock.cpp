#include "engine/queue/clock.hpp"

#include <time.h>

#include <fstream>

#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

std::int64_t now_us(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
}

std::string read_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  if (!(file >> id))
    throw Error(ErrorCode::internal,
                "/proc/sys/kernel/random/boot_id cannot be read, so leases cannot be told from those before a restart; "
                "mount /proc");
  return id;
}

class MachineClock final : public Clock {
 public:
  std::int64_t boot_us() const override { return now_us(CLOCK_BOOTTIME); }
  std::string boot_id() const override {
    static const std::string id = read_boot_id();  // no process outlives its boot
    return id;
  }
  std::int64_t wall_us() const override { return now_us(CLOCK_REALTIME); }
};

}  // namespace

const Clock& machine_clock() {
  static const MachineClock clock;
  return clock;
}

}  // namespace kiban::engine
