#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace kiban::variant {

/// A stretch of the reference, upper case: base `i` of the contig is bases[i - begin].
struct ReferenceStretch {
  std::int64_t begin = 0;
  std::string_view bases;

  std::int64_t end() const { return begin + static_cast<std::int64_t>(bases.size()); }
  char at(std::int64_t position) const { return bases[static_cast<std::size_t>(position - begin)]; }
  std::string_view between(std::int64_t from, std::int64_t to) const {
    return bases.substr(static_cast<std::size_t>(from - begin), static_cast<std::size_t>(to - from));
  }
};

/// What an allele does to the reference: bases [begin, end) become `alternate`. Without shared bases at its ends; an
/// insertion or deletion as far left as it goes.
struct Edit {
  std::int64_t begin = 0, end = 0;
  std::string alternate;
  /// What follows from where it could lie as well: an insertion or deletion in a repeat may be shifted so far right.
  std::int64_t shiftable_end = 0;

  bool changes_length() const { return end - begin != static_cast<std::int64_t>(alternate.size()); }
  bool deletes() const { return end - begin > static_cast<std::int64_t>(alternate.size()); }
  bool inserts_only() const { return begin == end; }
  /// Of what it does; where it could be shifted follows from that.
  friend bool operator==(const Edit& a, const Edit& b) {
    return a.begin == b.begin && a.end == b.end && a.alternate == b.alternate;
  }
  friend auto operator<=>(const Edit& a, const Edit& b) {
    if (const auto order = a.begin <=> b.begin; order != 0) return order;
    if (const auto order = a.end <=> b.end; order != 0) return order;
    return a.alternate.compare(b.alternate) <=> 0;
  }
};

/// Of an allele as VCF states it: `ref` at `position` becomes `alt`, upper case; `ref` is what the reference has there.
/// Shifted no further than the stretch goes. Cost: as many steps as it is shifted by.
/// Source: Tan, Abecasis and Kang 2015, doi:10.1093/bioinformatics/btv112.
Edit normalised_edit(const ReferenceStretch& reference, std::int64_t position, std::string_view ref,
                     std::string_view alt);

}  // namespace kiban::variant
