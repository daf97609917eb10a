#include "kernels/variant/edits.hpp"

#include <algorithm>

namespace kiban::variant {
namespace {

/// An insertion or deletion of `text` moves left by a base where the base before it is its last: the text turns.
void shift_left(const ReferenceStretch& reference, Edit& edit, std::string& text) {
  while (edit.begin > reference.begin && reference.at(edit.begin - 1) == text.back()) {
    std::rotate(text.begin(), text.end() - 1, text.end());
    --edit.begin;
    --edit.end;
  }
}

std::int64_t shifted_end(const ReferenceStretch& reference, const Edit& edit, const std::string& text) {
  std::int64_t end = edit.end;
  for (std::size_t i = 0; end < reference.end() && reference.at(end) == text[i]; i = (i + 1) % text.size()) ++end;
  return end;
}

}  // namespace

Edit normalised_edit(const ReferenceStretch& reference, std::int64_t position, std::string_view ref,
                     std::string_view alt) {
  while (!ref.empty() && !alt.empty() && ref.back() == alt.back()) {
    ref.remove_suffix(1);
    alt.remove_suffix(1);
  }
  while (!ref.empty() && !alt.empty() && ref.front() == alt.front()) {
    ref.remove_prefix(1);
    alt.remove_prefix(1);
    ++position;
  }
  Edit edit{position, position + static_cast<std::int64_t>(ref.size()), std::string(alt), 0};
  edit.shiftable_end = edit.end;
  if (ref.empty() == alt.empty()) return edit;  // neither, or both: nothing that could be shifted
  std::string text(ref.empty() ? alt : ref);
  shift_left(reference, edit, text);
  edit.shiftable_end = shifted_end(reference, edit, text);
  if (alt.empty()) return edit;
  edit.alternate = std::move(text);
  return edit;
}

}  // namespace kiban::variant
