#include "io/genome/index_check.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>

#include "io/genome/hts.hpp"
#include "io/input_file.hpp"

namespace kiban::io {
namespace {

namespace fs = std::filesystem;

/// The bytes of an index, of which a CSI and a TBI are compressed; numbers are little-endian.
class IndexBytes {
 public:
  IndexBytes(const fs::path& index, const fs::path& of)
      : index_(index), of_(of), end_of_file_(input_file_size(of)), file_(bgzf_open(index.c_str(), "r")) {
    input_file_size(index);
    if (!file_) refuse("it cannot be opened");
  }

  [[noreturn]] void refuse(const std::string& what) const {
    throw input_error(index_, fmt::format("{}; make the index of {} anew", what, of_.string()));
  }

  /// False at the end.
  bool try_read(void* into, std::size_t bytes) {
    const ssize_t found = bgzf_read(file_.get(), into, bytes);
    if (found == 0 && bytes > 0) return false;
    if (found != static_cast<ssize_t>(bytes)) refuse("the index is cut short or damaged");
    return true;
  }
  template <class T>
  T read() {
    T value{};
    if (!try_read(&value, sizeof value)) refuse("the index is cut short");
    return value;
  }
  std::int32_t count(std::int32_t most, const char* what) {
    const auto value = read<std::int32_t>();
    if (value < 0 || value > most) refuse(fmt::format("the index says that there are {} {}", value, what));
    return value;
  }
  void offset() {
    if (const auto at = read<std::uint64_t>(); static_cast<std::int64_t>(at >> 16) > end_of_file_)
      refuse("the index points beyond the end of the file, so it is of another one");
  }
  void skip(std::int64_t bytes) {
    for (std::array<char, 4096> into; bytes > 0;) {
      const auto next = static_cast<std::size_t>(std::min<std::int64_t>(bytes, into.size()));
      if (!try_read(into.data(), next)) refuse("the index is cut short");
      bytes -= static_cast<std::int64_t>(next);
    }
  }

 private:
  fs::path index_, of_;
  std::int64_t end_of_file_;
  Hts<BGZF, bgzf_close> file_;
};

constexpr std::int32_t kMost = 1 << 28;

/// One bin: what it holds are chunks, or, in the one beyond the last, two pairs of numbers that are no offsets. Returns
/// its number.
std::uint32_t check_bin(IndexBytes& bytes, bool csi, std::uint32_t beyond) {
  const auto number = bytes.read<std::uint32_t>();
  if (number > beyond) bytes.refuse(fmt::format("the index has a bin {}", number));
  if (csi) bytes.offset();
  const std::int32_t chunks = bytes.count(kMost, "pieces of a bin");
  if (number == beyond) {
    if (chunks != 2) bytes.refuse("the index has a bin of statistics without two pieces");
    bytes.skip(32);
    return number;
  }
  for (std::int32_t chunk = 0; chunk < 2 * chunks; ++chunk) bytes.offset();
  return number;
}

void check_sequences(IndexBytes& bytes, std::int32_t sequences, bool csi, std::uint32_t beyond) {
  for (std::int32_t sequence = 0; sequence < sequences; ++sequence) {
    const std::int32_t bins = bytes.count(kMost, "bins");
    bool has_root = false;
    for (std::int32_t bin = 0; bin < bins; ++bin) has_root |= check_bin(bytes, csi, beyond) == 0;
    // Where there is one level only, HTSlib looks for its bin for ever.
    constexpr std::uint32_t kBeyondOneLevel = 2;
    if (csi && beyond == kBeyondOneLevel && !has_root)
      bytes.refuse("the index has one level and a sequence without its bin; ask for a BAI (samtools index -b)");
    if (csi) continue;
    const std::int32_t windows = bytes.count(1 << 17, "windows");
    for (std::int32_t window = 0; window < windows; ++window) bytes.offset();
  }
}

}  // namespace

void require_sound_index(const fs::path& index, const fs::path& of) {
  IndexBytes bytes(index, of);
  std::array<char, 4> magic{};
  if (!bytes.try_read(magic.data(), magic.size())) bytes.refuse("the index is empty");
  const std::string_view kind(magic.data(), 3);
  if (kind == "BAI" && magic[3] == 1) {
    check_sequences(bytes, bytes.count(kMost, "sequences"), false, 37450);
  } else if (kind == "TBI" && magic[3] == 1) {
    const std::int32_t sequences = bytes.count(kMost, "sequences");
    bytes.skip(24);  // columns and what comments begin with
    bytes.skip(bytes.count(kMost, "bytes of names"));
    check_sequences(bytes, sequences, false, 37450);
  } else if (kind == "CSI" && (magic[3] == 1 || magic[3] == 2)) {
    bytes.count(30, "bits of the smallest bin");
    const std::int32_t depth = bytes.count(9, "levels");
    bytes.skip(bytes.count(kMost, "bytes about columns"));
    const std::uint32_t beyond = ((1U << (3 * (depth + 1))) - 1) / 7 + 1;
    check_sequences(bytes, bytes.count(kMost, "sequences"), true, beyond);
  } else {
    bytes.refuse("it is no index that Kiban knows (BAI, CSI, TBI)");
  }
}

void require_sound_gzi(const fs::path& index, const fs::path& of) {
  const std::int64_t size = input_file_size(index), end = input_file_size(of);
  const std::string bytes = read_bytes(index, 0, size);
  const auto number = [&](std::int64_t at) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  };
  const bool whole = size >= 8 && size % 16 == 8 && number(0) == static_cast<std::uint64_t>(size / 16);
  bool ascends = whole;
  std::uint64_t compressed = 0, plain = 0;
  for (std::int64_t at = 8; ascends && at < size; at += 16) {
    ascends = number(at) >= compressed && number(at + 8) >= plain && number(at) <= static_cast<std::uint64_t>(end);
    compressed = number(at);
    plain = number(at + 8);
  }
  if (!ascends)
    throw input_error(index, "it is cut short, or of another file; make it anew: samtools faidx " + of.string());
}

}  // namespace kiban::io
