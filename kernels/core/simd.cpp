#include "kernels/core/simd.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <hwy/highway.h>

#include <algorithm>
#include <atomic>
#include <cctype>

#include "kernels/core/error.hpp"

namespace kiban {
namespace {

std::string lower_name(std::int64_t target) {
  std::string text = hwy::TargetName(target);
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// What the processor has, less what was disabled. Kept, and chosen before any kernel runs, because to ask the
/// processor takes tens of microseconds on a virtual machine, and a pointer that HWY_DYNAMIC_DISPATCH hands out before
/// a target was chosen asks anew at every call.
std::atomic<std::int64_t> supported{0};

bool choose_target() {
  supported = hwy::SupportedTargets();
  hwy::GetChosenTarget().Update(supported);
  return true;
}
[[maybe_unused]] const bool chosen_at_start = choose_target();

/// Those that the kernels are compiled for, too; lower bits are better.
std::vector<std::int64_t> usable() {
  std::vector<std::int64_t> targets;
  std::int64_t rest = supported & HWY_TARGETS;
  for (; rest != 0; rest &= rest - 1) targets.push_back(rest & -rest);
  return targets;
}

}  // namespace

std::string instruction_set() { return lower_name(usable().front()); }

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
  for (const std::int64_t target : usable()) names.push_back(lower_name(target));
  return names;
}

void pin_instruction_set(std::string_view name) {
  hwy::DisableTargets(0);
  choose_target();
  if (name == "auto") return;
  for (const std::int64_t target : usable()) {
    if (lower_name(target) != name) continue;
    hwy::DisableTargets(~target);
    choose_target();
    return;
  }
  throw Error(ErrorCode::usage, fmt::format("the instruction set '{}' is not one of auto, {}", name,
                                            fmt::join(instruction_sets(), ", ")));
}

}  // namespace kiban
