#include "engine/queue/identifier.hpp"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <string_view>

#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";  // Crockford's
constexpr std::size_t kTimeDigits = 10, kAllDigits = 26;

std::uint64_t random_bits() {
  std::uint64_t bits = 0;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits)
    throw Error(ErrorCode::internal, "the kernel gives no random numbers; check getrandom");
  return bits;
}

std::string time_digits(std::int64_t wall_us) {
  std::string digits(kTimeDigits, '0');
  auto milliseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(wall_us, 0) / 1000);
  for (std::size_t i = kTimeDigits; i-- > 0; milliseconds >>= 5) digits[i] = kDigits[milliseconds & 31];
  return digits;
}

std::string successor(std::string id) {
  for (std::size_t i = id.size(); i-- > 0;) {
    const std::size_t digit = kDigits.find(id[i]);
    if (digit + 1 < kDigits.size()) {
      id[i] = kDigits[digit + 1];
      return id;
    }
    id[i] = kDigits.front();
  }
  throw Error(ErrorCode::internal, "no job id is left; begin a new queue");
}

}  // namespace

std::string next_ulid(const std::string& last, std::int64_t wall_us) {
  std::string id = time_digits(wall_us);
  if (last.size() == kAllDigits && id <= last.substr(0, kTimeDigits)) return successor(last);
  for (std::uint64_t bits = 0; id.size() < kAllDigits; bits >>= 5) {
    if ((id.size() - kTimeDigits) % 8 == 0) bits = random_bits();
    id += kDigits[bits & 31];
  }
  return id;
}

std::string random_token() { return fmt::format("{:016x}{:016x}", random_bits(), random_bits()); }

double random_fraction() { return static_cast<double>(random_bits() >> 11) * 0x1p-53; }

}  // namespace kiban::engine
