#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "io/image/image_format.hpp"
#include "io/input_file.hpp"

namespace kiban::io {
namespace {

// MetaIO reads into fixed buffers of 500 characters; what a user added may be as long as its value buffer.
constexpr std::size_t longest_key = 250, longest_value = 490, longest_user_value = 30000;
constexpr std::int64_t longest_header = 1 << 20;

struct ElementType {
  const char* name;
  std::int64_t bytes;
};
constexpr std::array<ElementType, 12> element_types{{{"MET_CHAR", 1},
                                                     {"MET_UCHAR", 1},
                                                     {"MET_SHORT", 2},
                                                     {"MET_USHORT", 2},
                                                     {"MET_INT", 4},
                                                     {"MET_UINT", 4},
                                                     {"MET_LONG", 4},
                                                     {"MET_ULONG", 4},
                                                     {"MET_LONG_LONG", 8},
                                                     {"MET_ULONG_LONG", 8},
                                                     {"MET_FLOAT", 4},
                                                     {"MET_DOUBLE", 8}}};

// Numbers a field holds, as a power of NDims.
const std::map<std::string, int, std::less<>> numeric_fields{{"NDims", 0},
                                                             {"HeaderSize", 0},
                                                             {"ElementNumberOfChannels", 0},
                                                             {"CompressedDataSize", 0},
                                                             {"DimSize", 1},
                                                             {"ElementSpacing", 1},
                                                             {"ElementSize", 1},
                                                             {"Offset", 1},
                                                             {"Position", 1},
                                                             {"Origin", 1},
                                                             {"CenterOfRotation", 1},
                                                             {"TransformMatrix", 2},
                                                             {"Rotation", 2},
                                                             {"Orientation", 2}};

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

class Header {
 public:
  explicit Header(const std::filesystem::path& path) : path_(path), text_(read_bytes(path, 0, longest_header)) {
    std::size_t at = 0;
    while (!fields_.contains("ElementDataFile")) {
      const std::size_t end = text_.find('\n', at);
      if (end == std::string::npos)
        refuse("its header ends without ElementDataFile; the file is truncated, copy it again");
      take_line(text_.substr(at, end - at));
      at = end + 1;
    }
    end_ = static_cast<std::int64_t>(at);
    dimensions_ = whole_number("NDims", 0);
    if (dimensions_ < 1 || dimensions_ > 10) refuse("NDims is not a number from 1 to 10; correct it");
    for (const auto& [key, power] : numeric_fields) {
      const std::size_t count = power == 0 ? 1 : static_cast<std::size_t>(std::pow(dimensions_, power));
      if (fields_.contains(key) && parse_numbers(fields_[key]).size() != count)
        refuse(fmt::format("{} does not hold {} finite number{}; correct it", key, count, count == 1 ? "" : "s"));
    }
  }

  std::int64_t end() const { return end_; }
  std::int64_t dimensions() const { return dimensions_; }

  std::string text(const std::string& key, const std::string& otherwise) const {
    const auto field = fields_.find(key);
    return field == fields_.end() ? otherwise : field->second;
  }

  bool flag(const std::string& key, bool otherwise) const {
    const std::string value = text(key, otherwise ? "True" : "False");
    return !value.empty() && (value[0] == 'T' || value[0] == 't' || value[0] == '1');
  }

  std::int64_t whole_number(const std::string& key, std::int64_t otherwise) const {
    return fields_.contains(key) ? whole_numbers(key).at(0) : otherwise;
  }

  std::vector<std::int64_t> whole_numbers(const std::string& key) const {
    std::vector<std::int64_t> whole;
    for (const double number : parse_numbers(text(key, ""))) {
      if (number != std::floor(number) || std::abs(number) > 1e15)
        refuse(fmt::format("{} does not hold whole numbers; correct it", key));
      whole.push_back(static_cast<std::int64_t>(number));
    }
    if (whole.empty()) refuse(fmt::format("{} is missing or not a number; correct it", key));
    return whole;
  }

  [[noreturn]] void refuse(const std::string& sentence) const { refuse_image(path_, sentence); }

 private:
  void take_line(const std::string& line) {
    if (trimmed(line).empty()) return;
    const std::size_t separator = line.find_first_of("=:");
    if (separator == std::string::npos || separator > longest_key)
      refuse(fmt::format("its header has the line \"{:.40}\", which is not \"key = value\"; correct it", line));
    const std::string key = trimmed(line.substr(0, separator)), value = trimmed(line.substr(separator + 1));
    const bool known = numeric_fields.contains(key) || key.rfind("Element", 0) == 0 || key == "ObjectType";
    if (value.size() > (known ? longest_value : longest_user_value))
      refuse(fmt::format("the value of {:.60} in its header is too long; shorten it", key));
    if (!fields_.emplace(key, value).second && known)
      refuse(fmt::format("{} stands twice in its header; remove one", key));
  }

  const std::filesystem::path& path_;
  const std::string text_;
  std::map<std::string, std::string> fields_;
  std::int64_t end_ = 0, dimensions_ = 0;
};

std::int64_t bytes_of(const Header& header) {
  const std::string type = header.text("ElementType", "");
  for (const ElementType& known : element_types) {
    if (type == known.name) return known.bytes;
  }
  header.refuse(fmt::format("ElementType is \"{:.40}\", not one number a pixel; convert it to MET_FLOAT", type));
}

}  // namespace

DeclaredImage parse_metaimage_header(const std::filesystem::path& path) {
  const Header header(path);
  if (!header.flag("BinaryData", false))
    header.refuse("its pixels are text (BinaryData is not True); write them in binary");
  DeclaredImage image;
  image.extents = header.whole_numbers("DimSize");
  if (const std::int64_t channels = header.whole_number("ElementNumberOfChannels", 1); channels != 1)
    image.extents.insert(image.extents.begin(), channels);
  image.bytes_per_value = bytes_of(header);
  image.compressed = header.flag("CompressedData", false);

  const std::string data_file = header.text("ElementDataFile", "");
  if (data_file == "LIST" || data_file.find('%') != std::string::npos)
    header.refuse("ElementDataFile names many files; write the image as one .mha");
  const bool local = data_file == "LOCAL" || data_file == "Local" || data_file == "local";
  image.data_path = local ? path : path.parent_path() / data_file;
  const std::int64_t size = input_file_size(image.data_path);
  const std::int64_t skipped = header.whole_number("HeaderSize", 0);
  if (skipped < -1) header.refuse("HeaderSize is below -1; correct it");
  image.data_offset = skipped > 0 ? skipped : local && skipped == 0 ? header.end() : 0;
  image.stored_bytes = std::max<std::int64_t>(0, size - image.data_offset);
  if (image.compressed) {
    const std::int64_t declared = header.whole_number("CompressedDataSize", 0);
    if (declared < 0 || declared > image.stored_bytes)
      header.refuse(
          fmt::format("CompressedDataSize is {} and the file holds {} bytes of pixels; it is truncated, copy it "
                      "again",
                      declared, image.stored_bytes));
  }
  return image;
}

}  // namespace kiban::io
