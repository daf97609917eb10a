#include "engine/queue/sqlite_journal.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <vector>

#include "engine/queue/sqlite_connection.hpp"

namespace kiban::engine {
namespace {

// https://www.sqlite.org/fileformat2.html, "The Write-Ahead Log".
constexpr std::size_t kHeaderBytes = 32, kFrameHeaderBytes = 24;
constexpr std::uint32_t kMagic = 0x377F0682;  // the last bit: in which order the checksum reads bytes

using Bytes = std::vector<unsigned char>;

std::uint32_t number(const unsigned char* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
}

class Checksum {
 public:
  explicit Checksum(bool big_endian) : big_endian_(big_endian) {}
  void add(const unsigned char* bytes, std::size_t count) {
    for (std::size_t at = 0; at < count; at += 8) {
      first_ += word(bytes + at) + second_;
      second_ += word(bytes + at + 4) + first_;
    }
  }
  bool is(const unsigned char* stored) const { return first_ == number(stored) && second_ == number(stored + 4); }

 private:
  std::uint32_t word(const unsigned char* bytes) const {
    return big_endian_ ? number(bytes) : __builtin_bswap32(number(bytes));
  }
  bool big_endian_;
  std::uint32_t first_ = 0, second_ = 0;
};

}  // namespace

void require_whole_journal(const std::filesystem::path& file) {
  std::ifstream stream(file.string() + "-wal", std::ios::binary);
  std::array<unsigned char, kHeaderBytes> header{};
  if (!stream || !stream.read(reinterpret_cast<char*>(header.data()), kHeaderBytes)) return;  // nothing was written
  if (std::ranges::all_of(header, [](unsigned char byte) { return byte == 0; })) return;      // nor flushed
  Checksum sum(number(header.data()) & 1);
  sum.add(header.data(), 24);
  const std::size_t page = number(&header[8]);
  if ((number(header.data()) & ~1U) != kMagic || page < 512 || page > 65536 || !sum.is(&header[24]))
    throw damaged(file, "the header of its journal is not what was written");

  Bytes frame(kFrameHeaderBytes + page);
  bool whole = true;
  int commits_behind = 0;
  while (stream.read(reinterpret_cast<char*>(frame.data()), static_cast<std::streamsize>(frame.size()))) {
    const bool of_this_log = std::memcmp(&frame[8], &header[16], 8) == 0;  // its salts; earlier logs have others
    if (whole) {
      sum.add(frame.data(), 8);
      sum.add(&frame[kFrameHeaderBytes], page);
      whole = of_this_log && sum.is(&frame[16]);
    }
    if (!whole && of_this_log && number(&frame[4]) != 0) ++commits_behind;
  }
  // One is the torn transaction itself.
  if (commits_behind > 1) throw damaged(file, "its journal is not what was written");
}

}  // namespace kiban::engine
