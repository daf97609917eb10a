#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/queue/job.hpp"
#include "engine/registry.hpp"
#include "engine/watch_folder/output_path.hpp"

namespace kiban::engine {

/// How a file is asked for what rules match, given by somebody who knows its format.
struct TagReader {
  using Values = std::map<std::string, std::string>;  ///< by the names that were asked for; what is absent is left out
  /// Errors: usage (there is no tag of that name).
  std::function<void(const std::string& name)> require;
  /// Nothing where the file is not of that format at all. Errors: input (it is, but broken).
  std::function<std::optional<Values>(const std::filesystem::path& file, const std::vector<std::string>& names)> read;
};

struct WatchSettings {
  double quiet_s = 30;                        ///< without a change, after which a study is complete
  std::string marker;                         ///< the name of a file that completes its study at once; empty: none
  std::filesystem::path unmatched;            ///< where studies go that no rule wants
  std::optional<std::filesystem::path> done;  ///< where studies go whose job has succeeded; else they stay
  std::string submitter;
};

/// At least so many files of a study have a name like this.
struct FileCondition {
  std::string pattern;
  int least = 1;
};

/// The value of a tag is like one of these.
struct TagCondition {
  std::string name;
  std::vector<std::string> patterns;
};

/// Where an input comes from.
struct InputSource {
  enum class Kind { path, folder, file };
  Kind kind = Kind::path;
  std::string text;  ///< the path; or the pattern that one file of the study has
};

struct WatchRule {
  std::string name;
  std::vector<FileCondition> files;
  std::vector<TagCondition> tags;  ///< all of which one file must meet
  std::string operation;
  int operation_version = 1;
  nlohmann::json parameters;  ///< as a submission has them
  std::map<std::string, InputSource> inputs;
  std::map<std::string, OutputPath> outputs;
  Priority priority = Priority::routine;
  double timeout_s = 3600;
  std::map<std::string, std::string> job_tags;

  /// The names of all tags that it needs.
  std::vector<std::string> tag_names() const;
};

struct WatchRules {
  WatchSettings settings;
  std::vector<WatchRule> rules;  ///< the first that matches has the study
};

/// The tag of every job of a watched folder that holds its content key.
constexpr const char* kContentTag = "content";

/// Reads and checks a whole rules file, against the operations, too: see docs/watch-folder.md.
///   watched   the folder, without links: no output may lie in it
/// Errors: input (the file cannot be read) · usage ("FILE, line N: SENTENCE").
WatchRules read_watch_rules(const std::filesystem::path& file, const std::filesystem::path& watched,
                            const Registry& registry, const TagReader& reader);

/// Whether a name, or a value, is like a pattern: `*`, `?`, `[a-z]`; a `*` in the pattern of a path stops at a `/`. A
/// pattern without `/` is of the file's own name, in whatever folder.
bool file_is_like(const std::string& path, const std::string& pattern);
bool value_is_like(const std::string& value, const std::string& pattern);

}  // namespace kiban::engine
