#include "tests/faults/shim/control.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

namespace kiban::faults {
namespace {

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value ? value : "";
}

const Switches* switches_in(const std::string& folder) {
  static const Switches kNone{};
  if (folder.empty()) return &kNone;
  const auto file =
      static_cast<int>(syscall(SYS_openat, AT_FDCWD, (folder + "/switches").c_str(), O_RDONLY | O_CLOEXEC));
  if (file < 0) return &kNone;
  void* const memory = mmap(nullptr, sizeof(Switches), PROT_READ, MAP_SHARED, file, 0);
  syscall(SYS_close, file);
  return memory == MAP_FAILED ? &kNone : static_cast<const Switches*>(memory);
}

/// "worker.2/executor": what the harness calls it, and the word of the command that it runs.
std::string own_role() {
  std::string arguments(4096, '\0');
  const auto file = static_cast<int>(syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC));
  const auto length = syscall(SYS_read, file, arguments.data(), arguments.size());
  syscall(SYS_close, file);
  arguments.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  const std::size_t verb = arguments.find('\0') + 1;
  return environment("KIBAN_FAULT_ROLE") + "/" + (verb < arguments.size() ? arguments.c_str() + verb : "");
}

}  // namespace

Control::Control()
    : switches(nullptr),
      folder(environment("KIBAN_FAULT_CONTROL")),
      role(own_role()),
      unflushed(environment("KIBAN_FAULT_UNFLUSHED")),
      has_root(!environment("KIBAN_FAULT_ROOT").empty()),
      disk(environment("KIBAN_FAULT_ROOT"), environment("KIBAN_FAULT_SHADOW")) {
  switches = switches_in(folder);
}

/// Nobody outlives the harness that started it, however that ended.
__attribute__((constructor)) static void die_with_harness() {
  if (environment("KIBAN_FAULT_HARNESS") == std::to_string(getppid())) prctl(PR_SET_PDEATHSIG, SIGKILL);
}

const Control& control() {
  // Never destroyed: others flush and ask for the time while the process ends.
  static const Control* const made = new Control;
  return *made;
}

}  // namespace kiban::faults
