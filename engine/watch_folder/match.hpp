#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/watch_folder/rules.hpp"
#include "engine/watch_folder/study.hpp"

namespace kiban::engine {

/// A study and the rule that has it.
struct Match {
  const WatchRule* rule = nullptr;
  std::map<std::string, std::string> inputs;  ///< absolute paths by port
  TagReader::Values tags;                     ///< of the first file that met the rule's conditions
};

struct MatchVerdict {
  std::optional<Match> match;
  std::vector<std::string> reasons;  ///< why each rule that was tried does not have it: of the rules, not of the study
};

/// The first rule that has a study. Tags are read only where a rule whose files are there asks for some.
/// Errors: input (a file of the reader's format is broken or unreadable; names neither file nor value).
MatchVerdict match(const WatchRules& rules, const Study& study, const TagReader& reader);

}  // namespace kiban::engine
