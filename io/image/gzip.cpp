#include "io/image/gzip.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "io/output_file.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/parallel.hpp"

namespace kiban::io {
namespace {

constexpr std::size_t block_bytes = 1 << 20, blocks_at_once = 32;

struct Block {
  std::string plain, deflated;
  uLong checksum = 0;

  // A full flush ends the block at a byte and forgets the history, so that blocks can be made apart and put together.
  void deflate_it(bool last) {
    z_stream stream{};
    if (deflateInit2(&stream, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      throw Error(ErrorCode::internal, "zlib cannot begin; memory is short");
    deflated.resize(deflateBound(&stream, plain.size()) + 16);
    stream.next_in = reinterpret_cast<Bytef*>(plain.data());
    stream.avail_in = static_cast<uInt>(plain.size());
    stream.next_out = reinterpret_cast<Bytef*>(deflated.data());
    stream.avail_out = static_cast<uInt>(deflated.size());
    deflate(&stream, last ? Z_FINISH : Z_FULL_FLUSH);
    deflated.resize(stream.total_out);
    deflateEnd(&stream);
    checksum = crc32(0, reinterpret_cast<const Bytef*>(plain.data()), static_cast<uInt>(plain.size()));
  }
};

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

void append_little_endian(std::string& to, std::uint32_t number) {
  for (int shift = 0; shift < 32; shift += 8) to += static_cast<char>(number >> shift);
}

// Inflates a file piece by piece and counts.
class Inflater {
 public:
  Inflater() {
    if (inflateInit2(&stream_, MAX_WBITS + 32) != Z_OK)  // 32: zlib or gzip, as the first bytes say
      throw Error(ErrorCode::internal, "zlib cannot begin; memory is short");
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // False where the stream is broken.
  bool take(std::string& piece) {
    stream_.next_in = reinterpret_cast<Bytef*>(piece.data());
    stream_.avail_in = static_cast<uInt>(piece.size());
    while (stream_.avail_in > 0) {
      if (ended_ && stream_.next_in[0] == 0) return true;  // padding behind the last member
      if (ended_ && inflateReset(&stream_) != Z_OK) return false;
      stream_.next_out = reinterpret_cast<Bytef*>(output_.data());
      stream_.avail_out = static_cast<uInt>(output_.size());
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result != Z_OK && result != Z_STREAM_END) return false;
      ended_ = result == Z_STREAM_END;
      inflated_ += static_cast<std::int64_t>(output_.size() - stream_.avail_out);
    }
    return true;
  }

  bool ended() const { return ended_; }
  std::int64_t inflated() const { return inflated_; }

 private:
  z_stream stream_{};
  std::string output_ = std::string(1 << 16, '\0');
  std::int64_t inflated_ = 0;
  bool ended_ = false;
};

}  // namespace

void verify_deflated(const std::filesystem::path& path, std::int64_t offset, std::int64_t expected) {
  const File file(std::fopen(path.c_str(), "rb"), &std::fclose);
  Inflater inflater;
  bool sound = file && fseeko(file.get(), offset, SEEK_SET) == 0;
  std::string piece(1 << 16, '\0');
  while (sound && !(inflater.ended() && inflater.inflated() >= expected)) {
    piece.resize(std::fread(piece.data(), 1, 1 << 16, file.get()));
    if (piece.empty()) break;
    sound = inflater.take(piece);
  }
  if (!sound || !inflater.ended() || inflater.inflated() < expected)
    throw Error(ErrorCode::input,
                fmt::format("{}: its compressed pixels are broken or truncated, {} of {} bytes can be read; "
                            "copy it again",
                            path.string(), std::min(inflater.inflated(), expected), expected));
}

void gzip_file(const std::filesystem::path& from, const std::filesystem::path& to,
               const std::filesystem::path& asked_for, const Stream& threads, const std::function<void()>& check_stop) {
  const File source(std::fopen(from.c_str(), "rb"), &std::fclose), target(std::fopen(to.c_str(), "wb"), &std::fclose);
  if (!source || !target) throw write_error(asked_for, errno);
  const auto write = [&](const std::string& bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), target.get()) != bytes.size()) throw write_error(asked_for, errno);
  };
  using namespace std::string_literals;
  write("\x1f\x8b\x08\0\0\0\0\0\x04\xff"s);  // deflate, no name, no time, fastest, unknown system

  uLong checksum = 0;
  std::uint64_t length = 0;
  for (bool last = false; !last;) {
    if (check_stop) check_stop();
    std::vector<Block> blocks;
    while (!last && blocks.size() < blocks_at_once) {
      Block block;
      block.plain.resize(block_bytes);
      block.plain.resize(std::fread(block.plain.data(), 1, block_bytes, source.get()));
      last = block.plain.size() < block_bytes;
      blocks.push_back(std::move(block));
    }
    if (std::ferror(source.get())) throw write_error(asked_for, errno);
    const auto count = static_cast<std::int64_t>(blocks.size());
    parallel_for(threads, count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) blocks[static_cast<std::size_t>(i)].deflate_it(last && i == count - 1);
    });
    for (const Block& block : blocks) {
      write(block.deflated);
      checksum = crc32_combine(checksum, block.checksum, static_cast<z_off_t>(block.plain.size()));
      length += block.plain.size();
    }
  }
  std::string trailer;
  append_little_endian(trailer, static_cast<std::uint32_t>(checksum));
  append_little_endian(trailer, static_cast<std::uint32_t>(length));
  write(trailer);
  if (std::fflush(target.get()) != 0) throw write_error(asked_for, errno);
}

}  // namespace kiban::io
