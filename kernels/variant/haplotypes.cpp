#include "kernels/variant/haplotypes.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

namespace kiban::variant {
namespace {

/// An edit, and the sites that list it.
struct Choice {
  Edit edit;
  std::vector<std::int64_t> sites;
};
using Choices = std::vector<Choice>;

/// Sorted, each once.
Choices choices_of(std::span<const CandidateSite> sites) {
  std::map<Edit, std::vector<std::int64_t>> found;
  for (std::int64_t s = 0; s < static_cast<std::int64_t>(sites.size()); ++s) {
    const CandidateSite& site = sites[static_cast<std::size_t>(s)];
    for (std::int64_t alt = 0; alt < static_cast<std::int64_t>(site.alternates.size()); ++alt)
      if (alt != site.star) found[site.alternates[static_cast<std::size_t>(alt)]].push_back(s);
  }
  Choices choices;
  for (auto& [edit, of] : found) choices.push_back({edit, std::move(of)});
  return choices;
}

/// A chromosome has one allele of a site; and of two gaps that could be shifted onto each other one, for together they
/// may make what neither says: a base more and a base less of a run are no change.
bool combine(const Choice& before, const Choice& after) {
  const bool both_gaps = before.edit.changes_length() && after.edit.changes_length();
  if (after.edit.begin < before.edit.end || (both_gaps && after.edit.begin <= before.edit.shiftable_end)) return false;
  return std::ranges::find_first_of(before.sites, after.sites) == before.sites.end();
}

using Subset = std::vector<std::size_t>;

/// All subsets of which any two combine, the empty one first; none if there are more than `most`.
std::vector<Subset> combinations(const Choices& choices, std::size_t most) {
  std::vector<Subset> found{{}};
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const std::size_t before = found.size();
    for (std::size_t k = 0; k < before; ++k) {
      if (!std::ranges::all_of(found[k], [&](std::size_t j) { return combine(choices[j], choices[i]); })) continue;
      if (found.size() == most) return {};
      Subset more = found[k];
      more.push_back(i);
      found.push_back(std::move(more));
    }
  }
  return found;
}

std::string edited(const ReferenceStretch& reference, std::int64_t begin, std::int64_t end, const Choices& choices,
                   const Subset& chosen) {
  std::string bases;
  std::int64_t at = begin;
  for (const std::size_t i : chosen) {
    bases += reference.between(at, choices[i].edit.begin);
    bases += choices[i].edit.alternate;
    at = choices[i].edit.end;
  }
  bases += reference.between(at, end);
  return bases;
}

/// Of a haplotype at a site; -1 where it deletes the site, which does not list that.
int allele_of(const CandidateSite& site, const Choices& choices, const Subset& chosen) {
  bool deleted = false;
  for (const std::size_t i : chosen) {
    const Edit& edit = choices[i].edit;
    for (std::int64_t alt = 0; alt < static_cast<std::int64_t>(site.alternates.size()); ++alt)
      if (alt != site.star && site.alternates[static_cast<std::size_t>(alt)] == edit) return static_cast<int>(alt) + 1;
    deleted |= edit.deletes() && edit.begin <= site.position && site.position < edit.end;
  }
  if (!deleted) return 0;
  return site.star < 0 ? -1 : static_cast<int>(site.star) + 1;
}

std::int64_t bases_changed(const Choices& choices, const Subset& chosen) {
  std::int64_t sum = 0;
  for (const std::size_t i : chosen) {
    const Edit& edit = choices[i].edit;
    sum += std::max(edit.end - edit.begin, static_cast<std::int64_t>(edit.alternate.size()));
  }
  return sum;
}

/// One way to make the bases of a haplotype, and what alleles it means: [site of those told apart], -1 for one deleted.
struct Reading {
  std::int64_t bases_changed = 0;
  std::vector<int> alleles;
};

/// Of two readings of the same bases the one that changes fewer; if they change as many, both.
void merge(Reading& kept, const Reading& other) {
  if (other.bases_changed > kept.bases_changed) return;
  if (other.bases_changed < kept.bases_changed) kept = other;
  for (std::size_t s = 0; s < kept.alleles.size(); ++s)
    if (kept.alleles[s] <= 0 && other.alleles[s] != 0) kept.alleles[s] = other.alleles[s];
}

LocalHaplotypes haplotypes_of(const ReferenceStretch& reference, std::int64_t begin, std::int64_t end,
                              std::span<const CandidateSite> sites, std::vector<std::int64_t> told_apart,
                              const Choices& choices, const std::vector<Subset>& subsets) {
  LocalHaplotypes made{begin, end, {}, std::move(told_apart), {}, {}};
  std::map<std::string, std::size_t> known;
  std::vector<Reading> readings;
  for (const Subset& chosen : subsets) {
    Reading reading{bases_changed(choices, chosen), {}};
    for (const std::int64_t site : made.sites)
      reading.alleles.push_back(allele_of(sites[static_cast<std::size_t>(site)], choices, chosen));
    std::string bases = edited(reference, begin, end, choices, chosen);
    const auto [place, is_new] = known.try_emplace(bases, readings.size());
    if (!is_new) {
      merge(readings[place->second], reading);
      continue;
    }
    made.bases.push_back(std::move(bases));
    readings.push_back(std::move(reading));
  }
  for (std::size_t s = 0; s < made.sites.size(); ++s) {
    std::vector<int>& alleles = made.allele_of.emplace_back();
    for (const Reading& reading : readings) alleles.push_back(std::max(0, reading.alleles[s]));
    made.spanned.push_back(
        std::ranges::any_of(readings, [&](const Reading& reading) { return reading.alleles[s] < 0; }));
  }
  return made;
}

std::int64_t distance(const CandidateSite& site, const Edit& edit) {
  return std::max<std::int64_t>({0, edit.begin - site.shiftable_end(), site.begin() - edit.shiftable_end});
}

/// The alleles of a site and of as many neighbours as combine to few enough haplotypes.
Choices with_neighbours(std::int64_t number, const CandidateSite& site, const Choices& all) {
  Choices chosen, others;
  for (const Choice& choice : all)
    (std::ranges::find(choice.sites, number) != choice.sites.end() ? chosen : others).push_back(choice);
  std::ranges::stable_sort(others, {}, [&](const Choice& other) { return distance(site, other.edit); });
  for (const Choice& other : others) {
    Choices more = chosen;
    more.insert(std::ranges::upper_bound(more, other.edit, {}, &Choice::edit), other);
    if (combinations(more, kMostAlone).empty()) break;
    chosen = std::move(more);
  }
  return chosen;
}

}  // namespace

std::int64_t CandidateSite::begin() const {
  std::int64_t least = position;
  for (std::int64_t alt = 0; alt < static_cast<std::int64_t>(alternates.size()); ++alt)
    if (alt != star) least = std::min(least, alternates[static_cast<std::size_t>(alt)].begin);
  return least;
}

std::int64_t CandidateSite::end() const {
  std::int64_t most = position + 1;
  for (std::int64_t alt = 0; alt < static_cast<std::int64_t>(alternates.size()); ++alt)
    if (alt != star) most = std::max(most, alternates[static_cast<std::size_t>(alt)].end);
  return most;
}

std::int64_t CandidateSite::shiftable_end() const {
  std::int64_t most = end();
  for (std::int64_t alt = 0; alt < static_cast<std::int64_t>(alternates.size()); ++alt)
    if (alt != star) most = std::max(most, alternates[static_cast<std::size_t>(alt)].shiftable_end);
  return most;
}

std::vector<LocalHaplotypes> local_haplotypes(const ReferenceStretch& reference, std::int64_t begin, std::int64_t end,
                                              std::span<const CandidateSite> sites) {
  const Choices all = choices_of(sites);
  std::vector<LocalHaplotypes> made;
  if (const auto chosen = combinations(all, kMostTogether); !chosen.empty()) {
    std::vector<std::int64_t> everyone(sites.size());
    std::iota(everyone.begin(), everyone.end(), 0);
    made.push_back(haplotypes_of(reference, begin, end, sites, std::move(everyone), all, chosen));
    return made;
  }
  for (std::size_t s = 0; s < sites.size(); ++s) {
    const auto number = static_cast<std::int64_t>(s);
    const Choices some = with_neighbours(number, sites[s], all);
    made.push_back(haplotypes_of(reference, begin, end, sites, {number}, some,
                                 combinations(some, std::numeric_limits<std::size_t>::max())));
  }
  return made;
}

}  // namespace kiban::variant
