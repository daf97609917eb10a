#pragma once
#include <cstdint>
#include <string>

namespace kiban::engine {

/// The ULID that follows `last` ("": none) at this time: 48 bits of milliseconds, 80 random bits, 26 characters. Later
/// than `last` also when the clock was set back or two are made within one millisecond.
std::string next_ulid(const std::string& last, std::int64_t wall_us);

/// 128 random bits as 32 hexadecimal digits.
std::string random_token();

/// Uniform in [0, 1).
double random_fraction();

}  // namespace kiban::engine
