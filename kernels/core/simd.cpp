#include "kernels/core/simd.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cctype>

#include "kernels/core/error.hpp"

namespace kiban {
namespace {

std::string lower_name(std::int64_t target) {
  std::string text = hwy::TargetName(target);
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// Those that the kernels are compiled for and the processor has; lower bits are better.
std::vector<std::int64_t> usable() {
  std::vector<std::int64_t> targets;
  std::int64_t rest = hwy::SupportedTargets() & HWY_TARGETS;
  for (; rest != 0; rest &= rest - 1) targets.push_back(rest & -rest);
  return targets;
}

/// A pointer that HWY_DYNAMIC_DISPATCH hands out before a target was chosen asks the processor anew at every call, which
/// takes tens of microseconds on a virtual machine. So it is chosen before any kernel runs.
bool choose_target() {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return true;
}
[[maybe_unused]] const bool chosen_at_start = choose_target();

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
