#pragma once
#include <string>

namespace kiban::cli {

/// Seconds of "90s", "15m", "12h" or "30d". Errors: usage (names the option, and what it may be).
double parse_duration(const std::string& option, const std::string& text);

/// "0.4 s", "3 min 20 s", "5 h 2 min", "12 d 3 h"
std::string human_duration(double seconds);

}  // namespace kiban::cli
