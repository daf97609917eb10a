#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/variant/edits.hpp"

namespace kiban::variant {

/// One record of candidates.
struct CandidateSite {
  std::int64_t position = 0;     ///< of its first base
  std::vector<Edit> alternates;  ///< [ALT]; of the one that is `*` it is not looked at
  std::int64_t star = -1;        ///< which ALT is `*`, a deletion that began before; -1 for none

  std::int64_t begin() const;          ///< of all its edits
  std::int64_t end() const;            ///< of the reference's bases that they replace
  std::int64_t shiftable_end() const;  ///< to where they could be shifted
};

/// The alleles of neighbouring sites, in all ways in which they can lie on one chromosome together.
struct LocalHaplotypes {
  std::int64_t begin = 0, end = 0;          ///< of the reference that they replace
  std::vector<std::string> bases;           ///< [haplotype], each another; the first is the reference
  std::vector<std::int64_t> sites;          ///< those that they tell apart, by their place among the sites given
  std::vector<std::vector<int>> allele_of;  ///< [site of these][haplotype] 0 the reference, else ALT from 1
  std::vector<bool> spanned;                ///< [site of these] a haplotype deletes it that counts as reference
};

/// At most so many haplotypes for sites that are scored together, and for one that is scored alone.
inline constexpr std::size_t kMostTogether = 32, kMostAlone = 16;

/// Sites whose alleles combine to at most `kMostTogether` haplotypes are told apart by these. Where there are more (a
/// dense cluster), each site has haplotypes of its own: its alleles, and those of its neighbours, the nearest first (of
/// two as near the left), for as long as they combine to at most `kMostAlone`.
///   reference   holds [begin, end) and all edits
///   sites       in the order of their records
/// Two edits combine that share no base, belong to no one site, and are not two gaps that could be shifted onto each
/// other. A haplotype has ALT of a site if it has that edit; else `*` if it deletes the site's position and the site
/// lists it; else REF. Where several combinations make the same bases, those count that change the fewest; if one of
/// them has an ALT, the haplotype has it.
std::vector<LocalHaplotypes> local_haplotypes(const ReferenceStretch& reference, std::int64_t begin, std::int64_t end,
                                              std::span<const CandidateSite> sites);

}  // namespace kiban::variant
