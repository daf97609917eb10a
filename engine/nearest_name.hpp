#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace kiban::engine {

/// The candidate with the smallest edit distance to `name`, or "" where none is near enough to be a slip of the hand.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

/// "; did you mean X?" for the nearest candidate, or "".
std::string suggestion(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace kiban::engine
