#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/image/image_format.hpp"
#include "io/input_file.hpp"

namespace kiban::io {
namespace {

constexpr std::size_t most_pages = 65535;  // ITK counts them in 16 bits
constexpr int uncompressed = 1;

enum Tag : int {
  new_subfile_type = 254,
  image_width = 256,
  image_length = 257,
  bits_per_sample = 258,
  compression = 259,
  photometric = 262,
  strip_offsets = 273,
  orientation = 274,
  samples_per_pixel = 277,
  strip_byte_counts = 279,
  tile_width = 322,
  sample_format = 339,
};

// One image file directory: the tags that matter here, each as whole numbers.
using Page = std::map<int, std::vector<std::int64_t>>;

class TiffParser {
 public:
  explicit TiffParser(const std::filesystem::path& path)
      : path_(path), size_(input_file_size(path)), file_(std::fopen(path.c_str(), "rb"), &std::fclose) {
    const std::string head = bytes(0, 8);
    big_endian_ = head[0] == 'M';
    large_ = number(head, 2, 2) == 43;
    if (!large_ && number(head, 2, 2) != 42) refuse("is not a TIFF file; check what it is");
  }

  std::vector<Page> pages() {
    std::vector<Page> pages;
    std::int64_t at = large_ ? number(bytes(8, 8), 0, 8) : number(bytes(4, 4), 0, 4);
    for (; at != 0; at = next_) {
      // A directory takes 18 bytes at least, so more than that many are a loop.
      if (pages.size() >= most_pages || static_cast<std::int64_t>(pages.size()) > size_ / 18)
        refuse("has more pages than can be read (65535), or they form a loop; write it again");
      pages.push_back(page(at));
    }
    return pages;
  }

  std::int64_t size() const { return size_; }
  [[noreturn]] void refuse(const std::string& sentence) const { refuse_image(path_, sentence); }

 private:
  std::string bytes(std::int64_t offset, std::int64_t count) const {
    std::string read(static_cast<std::size_t>(count), '\0');
    if (offset < 0 || offset > size_ - count || !file_ || fseeko(file_.get(), offset, SEEK_SET) != 0 ||
        std::fread(read.data(), 1, read.size(), file_.get()) != read.size())
      refuse("a directory or table lies outside the file; it is truncated or broken, copy it again");
    return read;
  }

  std::int64_t number(const std::string& from, std::size_t offset, std::size_t width) const {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < width; ++i) {
      const std::size_t at = big_endian_ ? offset + i : offset + width - 1 - i;
      value = value << 8 | static_cast<unsigned char>(from[at]);
    }
    return static_cast<std::int64_t>(value);
  }

  Page page(std::int64_t at) {
    const std::size_t count_width = large_ ? 8 : 2, entry_width = large_ ? 20 : 12, offset_width = large_ ? 8 : 4;
    const std::int64_t count = number(bytes(at, static_cast<std::int64_t>(count_width)), 0, count_width);
    if (count < 1 || count > 4096)
      refuse("a directory has no entries, or too many; the file is broken, write it again");
    at += static_cast<std::int64_t>(count_width);
    const std::string entries = bytes(at, count * static_cast<std::int64_t>(entry_width));
    Page page;
    for (std::size_t entry = 0; entry < static_cast<std::size_t>(count); ++entry) {
      const std::size_t start = entry * entry_width;
      const int tag = static_cast<int>(number(entries, start, 2));
      require_value_inside(entries, start, offset_width);
      if (is_relevant(tag)) page[tag] = values(entries, start, offset_width);
    }
    next_ = number(bytes(at + count * static_cast<std::int64_t>(entry_width), static_cast<std::int64_t>(offset_width)),
                   0, offset_width);
    return page;
  }

  // Of any tag: what a library cannot read it may leave out in silence, the resolution for one.
  void require_value_inside(const std::string& entries, std::size_t start, std::size_t offset_width) const {
    constexpr std::array<std::int64_t, 19> widths{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};  // by type
    const auto type = static_cast<std::size_t>(number(entries, start + 2, 2));
    const std::int64_t width = type < widths.size() ? widths[type] : 0;
    const std::int64_t count = number(entries, start + 4, offset_width);
    std::int64_t length = 0;
    if (count < 0 || __builtin_mul_overflow(count, width, &length)) length = size_ + 1;
    if (length <= static_cast<std::int64_t>(offset_width)) return;
    const std::int64_t offset = number(entries, start + 4 + offset_width, offset_width);
    if (length > size_ || offset < 0 || offset > size_ - length)
      refuse(fmt::format("the value of tag {} lies outside the file; it is truncated or broken, copy it again",
                         number(entries, start, 2)));
  }

  static bool is_relevant(int tag) {
    switch (tag) {
      case new_subfile_type:
      case image_width:
      case image_length:
      case bits_per_sample:
      case compression:
      case photometric:
      case strip_offsets:
      case orientation:
      case samples_per_pixel:
      case strip_byte_counts:
      case tile_width:
      case sample_format:
        return true;
      default:
        return false;
    }
  }

  std::vector<std::int64_t> values(const std::string& entries, std::size_t start, std::size_t offset_width) const {
    const std::int64_t type = number(entries, start + 2, 2), count = number(entries, start + 4, offset_width);
    const std::size_t width = type == 3 ? 2 : type == 4 ? 4 : type == 16 ? 8 : type == 1 ? 1 : 0;
    if (width == 0 || count < 1 || count > size_)
      refuse(fmt::format("tag {} is not made of whole numbers; the file is broken, write it again",
                         number(entries, start, 2)));
    const std::int64_t length = count * static_cast<std::int64_t>(width);
    const std::size_t in_place = start + 4 + offset_width;
    const std::string raw = length <= static_cast<std::int64_t>(offset_width)
                                ? entries.substr(in_place, offset_width)
                                : bytes(number(entries, in_place, offset_width), length);
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = number(raw, i * width, width);
    return numbers;
  }

  const std::filesystem::path& path_;
  const std::int64_t size_;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  bool big_endian_ = false, large_ = false;
  std::int64_t next_ = 0;
};

std::int64_t value(const Page& page, int tag, std::int64_t otherwise) {
  const auto found = page.find(tag);
  return found == page.end() ? otherwise : found->second[0];
}

// Refuses what ITK would turn into colours, read from the wrong place or not read at all.
void require_plain_grey(const TiffParser& tiff, const Page& page) {
  const std::int64_t bits = value(page, bits_per_sample, 1), format = value(page, sample_format, 1);
  const std::int64_t samples = value(page, samples_per_pixel, 1), scheme = value(page, compression, uncompressed);
  const std::int64_t meaning = value(page, photometric, -1), turned = value(page, orientation, 1);
  if (samples != 1 || meaning > 1)
    tiff.refuse(fmt::format("holds colours ({} samples a pixel, PhotometricInterpretation {}); write one grey channel",
                            samples, meaning));
  if (meaning < 0) tiff.refuse("PhotometricInterpretation is missing; the file is broken, write it again");
  const bool integer = (format == 1 || format == 2) && (bits == 8 || bits == 16);
  if (!integer && !(format == 3 && bits == 32))
    tiff.refuse(fmt::format("has {} bits a pixel in SampleFormat {}; write 8- or 16-bit integers or 32-bit floats",
                            bits, format));
  if (scheme != uncompressed && scheme != 5 && scheme != 8 && scheme != 32946 && scheme != 32773)
    tiff.refuse(fmt::format("Compression is {}; write it uncompressed, or with LZW, Deflate or PackBits", scheme));
  if (turned != 1 && turned != 4)
    tiff.refuse("Orientation says that its rows are turned or mirrored; write it upright");
  if (page.contains(tile_width)) tiff.refuse("is tiled; write it in strips");
}

// Bytes of the page's strips. All of them must lie in the file.
std::int64_t stored_bytes(const TiffParser& tiff, const Page& page) {
  const auto offsets = page.find(strip_offsets), counts = page.find(strip_byte_counts);
  if (offsets == page.end() || counts == page.end() || offsets->second.size() != counts->second.size())
    tiff.refuse("StripOffsets or StripByteCounts is missing, or they do not agree; the file is broken, write it again");
  std::int64_t sum = 0;
  for (std::size_t strip = 0; strip < counts->second.size(); ++strip) {
    const std::int64_t offset = offsets->second[strip], count = counts->second[strip];
    if (offset < 0 || count < 0 || offset > tiff.size() || count > tiff.size() - offset)
      tiff.refuse("a strip of pixels lies outside the file; it is truncated, copy it again");
    sum += count;
  }
  return sum;
}

}  // namespace

DeclaredImage parse_tiff_header(const std::filesystem::path& path) {
  TiffParser tiff(path);
  const std::vector<Page> pages = tiff.pages();
  if (pages.empty()) tiff.refuse("has no page; the file is broken, write it again");
  DeclaredImage image;
  image.data_path = path;
  const auto same = [&](std::size_t page, int tag) {
    const auto first = pages[0].find(tag), other = pages[page].find(tag);
    return first == pages[0].end() ? other == pages[page].end()
                                   : other != pages[page].end() && first->second[0] == other->second[0];
  };
  for (std::size_t page = 0; page < pages.size(); ++page) {
    require_plain_grey(tiff, pages[page]);
    for (const int tag : {image_width, image_length, bits_per_sample, sample_format, compression, new_subfile_type}) {
      if (!same(page, tag))
        tiff.refuse(fmt::format("page {} (counting from 0) differs from the first in tag {}; write one stack a file",
                                page, tag));
    }
    const std::int64_t stored = stored_bytes(tiff, pages[page]);
    const double needed = static_cast<double>(value(pages[page], image_width, 0)) *
                          static_cast<double>(value(pages[page], image_length, 0)) *
                          static_cast<double>(value(pages[page], bits_per_sample, 1)) / 8;
    if (value(pages[page], compression, uncompressed) == uncompressed && needed > static_cast<double>(stored))
      tiff.refuse(
          fmt::format("page {} (counting from 0) declares {:.0f} bytes of pixels and holds {}; it is truncated, "
                      "copy it again",
                      page, needed, stored));
    image.stored_bytes += stored;
  }
  if (const std::int64_t subfile = value(pages[0], new_subfile_type, 0); subfile != 0 && subfile != 2)
    tiff.refuse("its pages are thumbnails or masks (NewSubfileType); write the image itself");
  image.extents = {value(pages[0], image_width, 0), value(pages[0], image_length, 0)};
  if (pages.size() > 1) image.extents.push_back(static_cast<std::int64_t>(pages.size()));
  image.bytes_per_value = value(pages[0], bits_per_sample, 1) / 8;
  image.compressed = value(pages[0], compression, uncompressed) != uncompressed;
  return image;
}

}  // namespace kiban::io
