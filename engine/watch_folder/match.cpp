#include "engine/watch_folder/match.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> files_like(const Study& study, const std::string& pattern) {
  std::vector<std::string> found;
  for (const std::string& file : study.files)
    if (file_is_like(file, pattern)) found.push_back(file);
  return found;
}

/// Of all files of a study, read once, when first asked for.
class StudyTags {
 public:
  StudyTags(const WatchRules& rules, const Study& study, const TagReader& reader) : study_(study), reader_(reader) {
    std::set<std::string> names;
    for (const WatchRule& rule : rules.rules)
      for (const std::string& name : rule.tag_names()) names.insert(name);
    names_.assign(names.begin(), names.end());
  }

  /// In the order of the files' names.
  const std::vector<TagReader::Values>& all() {
    if (!read_) read();
    return values_;
  }

 private:
  void read() {
    constexpr std::size_t most_bytes = 64 << 20;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < study_.files.size(); ++i) {
      try {
        auto values = reader_.read(study_.folder / study_.files[i], names_);
        if (!values) continue;
        for (const auto& [name, value] : *values) bytes += value.size() + 64;
        if (bytes > most_bytes) throw Error(ErrorCode::input, "the values of its tags take more than 64 MiB");
        values_.push_back(std::move(*values));
      } catch (const Error& error) {
        if (error.code() == ErrorCode::internal) throw;
        throw Error(ErrorCode::input, fmt::format("file {} of {}, in the order of their names, is broken, or cannot "
                                                  "be read",
                                                  i + 1, study_.files.size()));
      }
    }
    read_ = true;
  }

  const Study& study_;
  const TagReader& reader_;
  std::vector<std::string> names_;
  std::vector<TagReader::Values> values_;
  bool read_ = false;
};

bool meets(const TagReader::Values& values, const TagCondition& condition) {
  const auto found = values.find(condition.name);
  return found != values.end() && std::ranges::any_of(condition.patterns, [&](const std::string& pattern) {
           return value_is_like(found->second, pattern);
         });
}

std::string described(const TagCondition& condition) {
  return fmt::format("{} like \"{}\"", condition.name, fmt::join(condition.patterns, "\" or \""));
}

/// Why a rule does not have a study, or "", and then `match` is filled in.
std::string try_rule(const WatchRule& rule, const Study& study, StudyTags& tags, Match& match) {
  for (const FileCondition& condition : rule.files)
    if (const auto count = files_like(study, condition.pattern).size();
        count < static_cast<std::size_t>(condition.least))
      return fmt::format("{} files are like \"{}\", and {} are needed", count, condition.pattern, condition.least);
  for (const auto& [port, source] : rule.inputs) {
    if (source.kind != InputSource::Kind::file) {
      match.inputs[port] = source.kind == InputSource::Kind::folder ? study.folder.string() : source.text;
      continue;
    }
    const std::vector<std::string> found = files_like(study, source.text);
    if (found.size() != 1)
      return fmt::format("{} files are like \"{}\", and the input {} is one", found.size(), source.text, port);
    match.inputs[port] = (study.folder / found[0]).string();
  }
  const std::vector<std::string> names = rule.tag_names();
  if (names.empty()) return "";
  const std::vector<TagReader::Values>& all = tags.all();
  const auto meets_all = [&](const TagReader::Values& values) {
    return std::ranges::all_of(rule.tags, [&](const TagCondition& condition) { return meets(values, condition); });
  };
  const auto found = std::ranges::find_if(all, meets_all);
  if (found != all.end()) {
    match.tags = *found;
    return "";
  }
  if (all.empty()) return "no file has tags";
  for (const TagCondition& condition : rule.tags)
    if (std::ranges::none_of(all, [&](const auto& values) { return meets(values, condition); }))
      return "no file has " + described(condition);
  return "no file meets all conditions on tags, though each is met by some";
}

}  // namespace

MatchVerdict match(const WatchRules& rules, const Study& study, const TagReader& reader) {
  StudyTags tags(rules, study, reader);
  MatchVerdict verdict;
  for (const WatchRule& rule : rules.rules) {
    Match match;
    match.rule = &rule;
    const std::string reason = try_rule(rule, study, tags, match);
    if (reason.empty()) {
      verdict.match = std::move(match);
      return verdict;
    }
    verdict.reasons.push_back(fmt::format("rule \"{}\": {}", rule.name, reason));
  }
  return verdict;
}

}  // namespace kiban::engine
