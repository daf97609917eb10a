#pragma once
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kiban::engine {

/// What a sender wrote, made fit to be one part of a path: [A-Za-z0-9._-], at most 64 characters, neither hidden nor an
/// option. Where something had to be changed, eight digits of the SHA-256 of what it was follow: two that differ stay
/// two.
std::string safe_name(std::string_view text);

/// Where a rule wants an output to be: an absolute path of the rule's own, with placeholders for what differs from
/// study to study.
///   {study}        the name of the study's folder
///   {date}         of the submission, UTC: 2026-11-25
///   {key}          16 digits of the content key
///   {dicom:NAME}   the value of a tag, in the first file that the rule matched
/// What a placeholder stands for goes through `safe_name`: it adds no folder and leaves none.
class OutputPath {
 public:
  /// Errors: usage (not absolute, "..", an unknown placeholder, none that tells one study from another).
  static OutputPath parse(std::string_view text);

  /// The folder that all such paths are below.
  std::string fixed_folder() const;
  /// The tags that it names.
  std::vector<std::string> tags() const;
  /// `values` by placeholder: "study", "dicom:Modality". Errors: input (one is missing or empty; the path is too long).
  std::string path(const std::map<std::string, std::string>& values) const;

 private:
  struct Piece {
    bool placeholder = false;
    std::string text;
  };
  std::vector<Piece> pieces_;
};

}  // namespace kiban::engine
