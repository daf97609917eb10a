#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kiban::engine {

/// A study folder at one moment. Links are never followed.
struct Study {
  std::filesystem::path folder;
  std::vector<std::string> files;  ///< paths below the folder, sorted; neither hidden ones nor the marker
  /// Another one whenever a name, a size or a time has changed in it, of hidden files, too: senders write to those.
  std::string fingerprint;
  bool marked = false;  ///< the marker is there
  /// Why no rule can have it: a link or a special file in it, too many files, too deep, a part that cannot be listed, a
  /// name that is not UTF-8. Empty: nothing of that kind. Names nothing of the study.
  std::string refusal;
};

/// What one study may have; beyond it `refusal` says so, and the rest is not looked at.
constexpr int kMostStudyEntries = 200'000, kMostStudyDepth = 16;

/// Looks at a folder, without opening a file. Nothing where it is gone, or is not a folder.
///   marker   name of the file that says that the study is complete; empty: none
std::optional<Study> look_at(const std::filesystem::path& folder, const std::string& marker);

/// SHA-256 over the names and the contents of the files, 64 hexadecimal digits; not over the folder's own name.
/// Errors: input (a file cannot be read, or is gone) · Cancelled (`stop` said so).
std::string content_key(const Study& study, const std::function<bool()>& stop);

}  // namespace kiban::engine
