#include "io/genome/contig.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kiban::io {

std::int64_t find_contig(const std::vector<Contig>& contigs, const std::string& name) {
  const auto found = std::ranges::find(contigs, name, &Contig::name);
  return found == contigs.end() ? -1 : found - contigs.begin();
}

std::unordered_map<std::string, std::int64_t> contig_places(const std::vector<Contig>& contigs) {
  std::unordered_map<std::string, std::int64_t> places;
  for (std::int64_t i = 0; i < std::ssize(contigs); ++i)
    places.try_emplace(contigs[static_cast<std::size_t>(i)].name, i);
  return places;
}

std::string contig_hint(const std::vector<Contig>& contigs, const std::string& name, const std::string& whose) {
  const std::string other = name.starts_with("chr") ? name.substr(3) : "chr" + name;
  if (find_contig(contigs, other) >= 0) return fmt::format("; {} has {}: rename one of them", whose, other);
  std::string names;
  for (const Contig& contig : contigs) {
    if (names.size() > 60) {
      names += ", ...";
      break;
    }
    names += (names.empty() ? "" : ", ") + contig.name;
  }
  return fmt::format("; {} has {}", whose, names.empty() ? "no sequence" : names);
}

}  // namespace kiban::io
