#pragma once
#include <cstdint>
#include <string>

namespace kiban::engine {

/// The clocks of a queue. Leases and back-offs are measured on the boot clock, which nobody can set and which goes on
/// while the machine sleeps; a boot clock of another boot says that what it measured is over. The wall clock is for
/// people and for order.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t boot_us() const = 0;  ///< CLOCK_BOOTTIME
  virtual std::string boot_id() const = 0;   ///< of the running kernel: /proc/sys/kernel/random/boot_id
  virtual std::int64_t wall_us() const = 0;  ///< since 1970
};

/// The machine's. Tests put their own in its place.
const Clock& machine_clock();

}  // namespace kiban::engine
