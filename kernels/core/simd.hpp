#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace kiban {

/// The vector instruction set in use, as `instruction_sets` names it: `avx3` (AVX-512), `avx2`, `sse4`, `neon`, ...
std::string instruction_set();

/// Those that this build has code for and this processor runs, the best first.
std::vector<std::string> instruction_sets();

/// Uses `name` from here on, in the whole process; `auto` the best there is. Results are byte-identical for a given
/// instruction set, so a batch over unlike machines pins one. Errors: usage (unknown, or not of this processor).
void pin_instruction_set(std::string_view name);

}  // namespace kiban
