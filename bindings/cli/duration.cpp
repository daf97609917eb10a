#include "bindings/cli/duration.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdint>

#include "kernels/core/error.hpp"

namespace kiban::cli {
namespace {

constexpr double kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;

double unit_seconds(const std::string& unit) {
  if (unit == "s") return 1;
  if (unit == "m") return kMinute;
  if (unit == "h") return kHour;
  return unit == "d" ? kDay : 0;
}

}  // namespace

double parse_duration(const std::string& option, const std::string& text) {
  double number = 0;
  const char *const begin = text.data(), *const end = begin + text.size();
  const auto [after, failed] = std::from_chars(begin, end, number);
  const double unit = failed == std::errc{} ? unit_seconds({after, end}) : 0;
  if (unit == 0 || !std::isfinite(number * unit) || number < 0)
    throw Error(ErrorCode::usage,
                fmt::format("{} is '{}', but must be a duration such as 90s, 15m, 12h or 30d", option, text));
  return number * unit;
}

std::string human_duration(double seconds) {
  if (seconds < kMinute) return fmt::format("{:.1f} s", std::fmax(seconds, 0));
  const auto whole = static_cast<std::int64_t>(seconds);
  if (seconds < kHour) return fmt::format("{} min {} s", whole / 60, whole % 60);
  if (seconds < kDay) return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
  return fmt::format("{} d {} h", whole / 86400, whole / 3600 % 24);
}

}  // namespace kiban::cli
