#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <mutex>
#include <string>

#include "tests/faults/shim/control.hpp"

namespace kiban::faults {
namespace {

/// What `armed/<point>` says: "kill 3 worker* 17": the third time that a process of such a role comes by, once. The
/// last word tells this order from earlier ones.
struct Order {
  std::array<char, 16> action{};
  unsigned hit = 1;
  std::array<char, 64> role{};
  std::array<char, 32> id{};
};

bool read_order(const std::string& path, Order* order) {
  const auto file = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file < 0) return false;
  std::array<char, 256> text{};
  const auto length = syscall(SYS_read, file, text.data(), text.size() - 1);
  syscall(SYS_close, file);
  return length > 0 && std::sscanf(text.data(), "%15s %u %63s %31s", order->action.data(), &order->hit,
                                   order->role.data(), order->id.data()) == 4;
}

/// True for one process, and once.
bool take(const std::string& armed, const char* point) {
  static std::mutex mutex;
  static std::map<std::string, unsigned> hits;
  Order order;
  if (!read_order(armed, &order) || fnmatch(order.role.data(), control().role.c_str(), 0) != 0) return false;
  {
    const std::lock_guard lock(mutex);
    if (++hits[point + std::string(" ") + order.id.data()] < order.hit) return false;
  }
  // The new name tells the harness all that it wants to know, and only one process can give it.
  const std::string fired = control().folder + "/fired/" + order.id.data() + "." + point + "." + order.action.data() +
                            "." + std::to_string(getpid()) + "." + std::to_string(getppid());
  if (syscall(SYS_rename, armed.c_str(), fired.c_str()) != 0) return false;
  kill(getpid(), std::strcmp(order.action.data(), "kill") == 0 ? SIGKILL : SIGSTOP);
  return true;
}

}  // namespace
}  // namespace kiban::faults

extern "C" void kiban_fault_point(const char* name) {
  using namespace kiban::faults;
  if (control().folder.empty()) return;
  take(control().folder + "/armed/" + name, name);
}
