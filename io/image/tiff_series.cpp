#include "io/image/tiff_series.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <system_error>

#include "io/image/image_format.hpp"

namespace kiban::io {
namespace {

namespace fs = std::filesystem;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The digits at the front of `text`, without leading zeros; removes them.
std::string_view take_digits(std::string_view& text) {
  const auto end = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin());
  std::string_view digits = text.substr(0, end);
  text.remove_prefix(end);
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  return digits;
}

// Runs of digits compare as numbers, the rest as bytes; the whole names decide between equals ("01" and "1").
bool comes_before(const std::string& left, const std::string& right) {
  std::string_view a = left, b = right;
  while (!a.empty() && !b.empty()) {
    if (is_digit(a[0]) && is_digit(b[0])) {
      const std::string_view m = take_digits(a), n = take_digits(b);
      if (m.size() != n.size()) return m.size() < n.size();
      if (m != n) return m < n;
    } else {
      if (a[0] != b[0]) return a[0] < b[0];
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
  }
  return a.empty() != b.empty() ? a.empty() : left < right;
}

}  // namespace

bool names_tiff_series(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored) ||
         (path.filename().string().find_first_of("*?") != std::string::npos && !fs::exists(path, ignored));
}

std::vector<fs::path> tiff_series(const fs::path& path) {
  std::error_code failure;
  const bool whole_folder = fs::is_directory(path, failure);
  const fs::path folder = whole_folder ? path : path.has_parent_path() ? path.parent_path() : fs::path(".");
  const std::string pattern = whole_folder ? "*" : path.filename().string();
  std::vector<std::string> names;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure)) {
    const std::string name = entry->path().filename();
    std::string extension = entry->path().extension();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](char c) { return static_cast<char>(c | 32); });
    if ((extension == ".tif" || extension == ".tiff") && fnmatch(pattern.c_str(), name.c_str(), FNM_PERIOD) == 0)
      names.push_back(name);
  }
  if (failure) refuse_image(folder, fmt::format("the folder cannot be read ({}); check its name", failure.message()));
  if (names.empty())
    refuse_image(path, whole_folder ? "the folder holds no TIFF file; name a file, or a folder of TIFF slices"
                                    : "no TIFF file matches this pattern; check it");
  std::sort(names.begin(), names.end(), comes_before);
  std::vector<fs::path> files;
  for (const std::string& name : names) files.push_back(folder / name);
  return files;
}

}  // namespace kiban::io
