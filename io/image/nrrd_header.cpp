#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "io/image/image_format.hpp"
#include "io/input_file.hpp"

namespace kiban::io {
namespace {

constexpr std::int64_t longest_header = 1 << 20;

// Field names and values are compared as NRRD does: case and spaces do not count in names.
std::string canonical(const std::string& text, bool keep_spaces) {
  std::string result;
  for (const char c : text) {
    if (c == '\r' || (!keep_spaces && c == ' ')) continue;
    result += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  result.erase(result.find_last_not_of(" \t") + 1);
  return result;
}

const std::map<std::string, std::int64_t> bytes_of_type{{"signed char", 1},
                                                        {"int8", 1},
                                                        {"int8_t", 1},
                                                        {"uchar", 1},
                                                        {"unsigned char", 1},
                                                        {"uint8", 1},
                                                        {"uint8_t", 1},
                                                        {"short", 2},
                                                        {"short int", 2},
                                                        {"signed short", 2},
                                                        {"signed short int", 2},
                                                        {"int16", 2},
                                                        {"int16_t", 2},
                                                        {"ushort", 2},
                                                        {"unsigned short", 2},
                                                        {"unsigned short int", 2},
                                                        {"uint16", 2},
                                                        {"uint16_t", 2},
                                                        {"int", 4},
                                                        {"signed int", 4},
                                                        {"int32", 4},
                                                        {"int32_t", 4},
                                                        {"uint", 4},
                                                        {"unsigned int", 4},
                                                        {"uint32", 4},
                                                        {"uint32_t", 4},
                                                        {"longlong", 8},
                                                        {"long long", 8},
                                                        {"long long int", 8},
                                                        {"signed long long", 8},
                                                        {"signed long long int", 8},
                                                        {"int64", 8},
                                                        {"int64_t", 8},
                                                        {"ulonglong", 8},
                                                        {"unsigned long long", 8},
                                                        {"unsigned long long int", 8},
                                                        {"uint64", 8},
                                                        {"uint64_t", 8},
                                                        {"float", 4},
                                                        {"double", 8}};

class Header {
 public:
  explicit Header(const std::filesystem::path& path) : path_(path) {
    const std::string text = read_bytes(path, 0, longest_header);
    std::size_t at = text.find('\n') + 1;
    while (at != 0) {
      const std::size_t end = text.find('\n', at);
      if (end == std::string::npos) {
        end_ = static_cast<std::int64_t>(text.size());  // a detached header needs no empty line at its end
        break;
      }
      const std::string line = text.substr(at, end - at);
      at = end + 1;
      end_ = static_cast<std::int64_t>(at);
      if (line.empty() || line == "\r") break;
      take_line(line);
    }
  }

  std::int64_t end() const { return end_; }

  const std::string& required(const std::string& key) const {
    const auto field = fields_.find(key);
    if (field == fields_.end())
      refuse(fmt::format("its header has no field \"{}\"; the file is broken, write it again", key));
    return field->second;
  }

  std::string text(const std::string& key, const std::string& otherwise) const {
    const auto field = fields_.find(key);
    return field == fields_.end() ? otherwise : field->second;
  }

  std::vector<std::int64_t> whole_numbers(const std::string& key) const {
    std::vector<std::int64_t> whole;
    for (const double number : parse_numbers(required(key))) {
      if (number != std::floor(number) || std::abs(number) > 1e15)
        refuse(fmt::format("{} holds a fraction; correct it", key));
      whole.push_back(static_cast<std::int64_t>(number));
    }
    if (whole.empty()) refuse(fmt::format("{} does not hold finite numbers; correct it", key));
    return whole;
  }

  [[noreturn]] void refuse(const std::string& sentence) const { refuse_image(path_, sentence); }

 private:
  void take_line(const std::string& line) {
    const std::size_t separator = line.find(": ");
    if (line[0] == '#' || line.find(":=") < separator || separator == std::string::npos) return;
    const std::string key = canonical(line.substr(0, separator), false);
    const std::size_t value = line.find_first_not_of(" \t", separator + 1);
    std::string text = value == std::string::npos ? "" : line.substr(value);
    text.erase(text.find_last_not_of(" \t\r") + 1);
    if (!fields_.emplace(key, text).second) refuse(fmt::format("{:.60} stands twice in its header; remove one", key));
  }

  const std::filesystem::path& path_;
  std::map<std::string, std::string> fields_;
  std::int64_t end_ = 0;
};

}  // namespace

DeclaredImage parse_nrrd_header(const std::filesystem::path& path) {
  const Header header(path);
  DeclaredImage image;
  image.extents = header.whole_numbers("sizes");
  const std::vector<std::int64_t> dimension = header.whole_numbers("dimension");
  if (dimension.size() != 1 || dimension[0] < 1 || dimension[0] > 16 ||
      image.extents.size() != static_cast<std::size_t>(dimension[0]))
    header.refuse("dimension and sizes do not agree; correct them");

  const auto type = bytes_of_type.find(canonical(header.required("type"), true));
  if (type == bytes_of_type.end())
    header.refuse(
        fmt::format("type is \"{:.40}\", not one number a pixel; convert it to float", header.required("type")));
  image.bytes_per_value = type->second;

  const std::string encoding = canonical(header.required("encoding"), true);
  if (encoding != "raw" && encoding != "gzip" && encoding != "gz")
    header.refuse(fmt::format("encoding is \"{:.40}\", and raw or gzip can be read; write it again", encoding));
  image.compressed = encoding != "raw";

  const std::string data_file = header.text("datafile", "");
  if (data_file.rfind("LIST", 0) == 0 || data_file.find('%') != std::string::npos)
    header.refuse("data file names many files; write the image as one .nrrd");
  if (header.text("lineskip", "0") != "0") header.refuse("line skip is not supported; use byte skip");
  const std::vector<double> skip = parse_numbers(header.text("byteskip", "0"));
  if (skip.size() != 1 || skip[0] != std::floor(skip[0]) || skip[0] < -1 || skip[0] > 1e15)
    header.refuse("byte skip is not a whole number from -1 up; correct it");
  image.data_path = data_file.empty() ? path : path.parent_path() / data_file;
  image.data_offset =
      (data_file.empty() ? header.end() : 0) + std::max<std::int64_t>(0, static_cast<std::int64_t>(skip[0]));
  image.stored_bytes = std::max<std::int64_t>(0, input_file_size(image.data_path) - image.data_offset);
  return image;
}

}  // namespace kiban::io
