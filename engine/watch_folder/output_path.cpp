#include "engine/watch_folder/output_path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <filesystem>

#include "engine/nearest_name.hpp"
#include "engine/queue/sha256.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kTagPrefix = "dicom:";

bool is_safe(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
         letter == '.' || letter == '_' || letter == '-';
}

[[noreturn]] void refuse(const std::string& sentence) { throw Error(ErrorCode::usage, sentence); }

void require_known(const std::string& placeholder) {
  if (placeholder.starts_with(kTagPrefix) && placeholder.size() > kTagPrefix.size()) return;
  const std::vector<std::string> known = {"study", "date", "key", "dicom:NAME"};
  if (std::ranges::count(known, placeholder) == 0)
    refuse(fmt::format("there is no {{{}}}{}", placeholder,
                       suggestion(placeholder, known).empty() ? "; use {study}, {date}, {key} or {dicom:NAME}"
                                                              : suggestion(placeholder, known)));
}

}  // namespace

std::string safe_name(std::string_view text) {
  constexpr std::size_t longest = 64, digits = 8;
  std::string name(text);
  std::ranges::replace_if(
      name, [](char letter) { return !is_safe(letter); }, '_');
  if (name.empty() || name[0] == '.' || name[0] == '-') name.replace(0, 1, 1, '_');
  if (name == text && name.size() <= longest) return name;
  return name.substr(0, longest - digits - 1) + "-" + sha256(text).substr(0, digits);
}

OutputPath OutputPath::parse(std::string_view text) {
  OutputPath result;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t open = std::min(text.find('{', at), text.size());
    if (text.substr(at, open - at).find('}') != std::string_view::npos) refuse("a } has no { before it");
    if (open > at) result.pieces_.push_back({false, std::string(text.substr(at, open - at))});
    if (open == text.size()) break;
    const std::size_t close = text.find('}', open);
    if (close == std::string_view::npos) refuse("a { has no } behind it");
    result.pieces_.push_back({true, std::string(text.substr(open + 1, close - open - 1))});
    require_known(result.pieces_.back().text);
    at = close + 1;
  }
  if (result.pieces_.empty() || result.pieces_[0].placeholder || result.pieces_[0].text[0] != '/')
    refuse("the path of an output must begin with /");
  if (std::ranges::count(fs::path(text), fs::path("..")) > 0) refuse("the path of an output must do without ..");
  if (text.ends_with('/')) refuse("the path of an output must end with the name of a file");
  const auto tells_apart = [](const Piece& piece) {
    return piece.placeholder && (piece.text == "study" || piece.text == "key");
  };
  if (std::ranges::none_of(result.pieces_, tells_apart))
    refuse("every study would be written to the same path; put {study} or {key} into it");
  return result;
}

std::string OutputPath::fixed_folder() const {
  const std::string& fixed = pieces_[0].text;
  return fixed.substr(0, std::max<std::size_t>(fixed.rfind('/'), 1));
}

std::vector<std::string> OutputPath::tags() const {
  std::vector<std::string> names;
  for (const Piece& piece : pieces_)
    if (piece.placeholder && piece.text.starts_with(kTagPrefix)) names.push_back(piece.text.substr(kTagPrefix.size()));
  return names;
}

std::string OutputPath::path(const std::map<std::string, std::string>& values) const {
  std::string path;
  for (const Piece& piece : pieces_) {
    if (!piece.placeholder) {
      path += piece.text;
      continue;
    }
    const auto found = values.find(piece.text);
    if (found == values.end() || found->second.empty())
      throw Error(ErrorCode::input, fmt::format("there is no value for {{{}}} of its output", piece.text));
    path += safe_name(found->second);
  }
  const fs::path whole(path);
  const auto too_long = [](const fs::path& part) { return part.native().size() > NAME_MAX; };
  if (path.size() >= PATH_MAX || std::any_of(whole.begin(), whole.end(), too_long))
    throw Error(ErrorCode::input, "the path of its output is too long");
  return path;
}

}  // namespace kiban::engine
