#include "engine/operations/genotype_candidates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/input_file.hpp"
#include "kernels/variant/genotypes.hpp"

namespace kiban::engine {
namespace {

constexpr std::int64_t kJoin = 20, kNextStretch = 20'000, kStretch = 32'768;
constexpr std::size_t kMostRecords = 64;
constexpr std::int64_t kMostOfStretch = 512;
constexpr std::size_t kLongestAllele = 1000;
/// Of the reference about a record: room for what an allele is shifted by, and for reads that reach out of a cluster.
constexpr std::int64_t kAbout = 2500;

std::string upper(std::string text) {
  for (char& letter : text)
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
  return text;
}

bool is_sequence(const std::string& allele) {
  return !allele.empty() && allele.find_first_not_of("ACGTN") == std::string::npos;
}

/// Why an ALT cannot be scored, or "".
std::string objection(const std::string& alt, const std::string& ref) {
  if (alt == "*") return "";
  if (alt == "<NON_REF>" || alt == "<*>") return "NON_REF";
  if (alt.starts_with('<')) return "symbolic_allele";
  if (alt.find_first_of("[]") != std::string::npos || alt.starts_with('.') || alt.ends_with('.'))
    return alt == "." ? "no_ALT" : "breakend";
  if (!is_sequence(alt)) return "ALT_is_not_ACGTN";
  if (alt.size() > kLongestAllele) return "allele_longer_than_1000";
  return alt == ref ? "ALT_is_REF" : "";
}

std::string objection(const std::vector<std::string>& alleles, std::int64_t ploidy) {
  if (alleles.size() < 2) return "no_ALT";
  if (!is_sequence(alleles[0])) return "REF_is_not_ACGTN";
  if (alleles[0].size() > kLongestAllele) return "allele_longer_than_1000";
  for (std::size_t i = 1; i < alleles.size(); ++i)
    if (const std::string why = objection(alleles[i], alleles[0]); !why.empty()) return why;
  if (alleles.size() == 2 && alleles[1] == "*") return "no_ALT_but_a_spanning_deletion";
  if (variant::genotype_count(static_cast<std::int64_t>(alleles.size()), ploidy) > variant::kMostGenotypes)
    return "more_than_1024_genotypes";
  return "";
}

/// An ambiguity code or N of the reference says nothing against a REF.
bool contradicts(std::string_view reference, const std::string& ref) {
  for (std::size_t i = 0; i < ref.size(); ++i)
    if (reference[i] != ref[i] && ref[i] != 'N' &&
        std::string_view("ACGT").find(reference[i]) != std::string_view::npos)
      return true;
  return false;
}

}  // namespace

CandidateStream::CandidateStream(const CandidateSettings& settings)
    : settings_(settings),
      reader_(settings.candidates),
      reference_(settings.reference),
      places_(io::contig_places(reference_.contigs())) {
  for (const io::Contig& contig : reader_.contigs()) {
    const auto found = places_.find(contig.name);
    if (found == places_.end()) continue;
    const std::int64_t length = reference_.contigs()[static_cast<std::size_t>(found->second)].length;
    if (contig.length > 0 && contig.length != length)
      throw io::input_error(settings_.candidates,
                            fmt::format("{} has {} bases here and {} in the reference: it is of another assembly",
                                        contig.name, contig.length, length));
  }
  has_record_ = read_one();
}

std::int64_t CandidateStream::contig_of(const std::string& name) {
  if (contig_ >= 0 && reference_.contigs()[static_cast<std::size_t>(contig_)].name == name) return contig_;
  const auto found = places_.find(name);
  if (found == places_.end())
    throw io::input_error(settings_.candidates,
                          fmt::format("there is no sequence {} in the reference{}", name,
                                      io::contig_hint(reference_.contigs(), name, "the reference")));
  return found->second;
}

void CandidateStream::require_order(const io::VariantSite& record) const {
  const bool again = contig_ != last_contig_ && seen_.contains(contig_);
  if (again || (contig_ == last_contig_ && record.position < last_position_))
    throw io::input_error(settings_.candidates,
                          fmt::format("{}:{} comes after records that it should precede; sort the "
                                      "file: bcftools sort",
                                      record.contig, record.position + 1));
}

bool CandidateStream::in_regions(std::int64_t position) const {
  return settings_.regions.empty() || std::ranges::any_of(settings_.regions, [&](const io::GenomeRegion& region) {
           return region.contig == contig_ && region.begin <= position && position < region.end;
         });
}

std::int64_t CandidateStream::ploidy_at(std::int64_t position) const {
  const auto place = [](const io::GenomeRegion& region) { return std::pair(region.contig, region.begin); };
  const auto after = std::ranges::upper_bound(settings_.ploidies, std::pair(contig_, position), {}, place);
  if (after == settings_.ploidies.begin()) return settings_.ploidy;
  const io::NumberedRegion& region = *std::prev(after);
  return region.contig == contig_ && position < region.end ? region.number : settings_.ploidy;
}

/// The next record of the regions.
bool CandidateStream::read_one() {
  while (reader_.next(record_)) {
    contig_ = contig_of(record_.contig);
    require_order(record_);
    seen_.insert(contig_);
    last_contig_ = contig_;
    last_position_ = record_.position;
    if (in_regions(record_.position)) return true;
  }
  return false;
}

Candidate CandidateStream::checked(io::VariantSite record) {
  std::vector<std::string> alleles;
  for (const std::string& allele : record.alleles) alleles.push_back(upper(allele));
  Candidate candidate;
  candidate.ploidy = ploidy_at(record.position);
  candidate.record = std::move(record);
  candidate.site.position = candidate.record.position;
  candidate.unscored = objection(alleles, candidate.ploidy);
  const std::int64_t length = reference_.contigs()[static_cast<std::size_t>(contig_)].length;
  const std::int64_t position = candidate.record.position;
  const auto ref_end = position + static_cast<std::int64_t>(alleles[0].size());
  if (ref_end > length)
    throw io::input_error(settings_.candidates, fmt::format("{}:{} lies beyond the end of the sequence",
                                                            candidate.record.contig, position + 1));
  if (!is_sequence(alleles[0])) return candidate;
  const std::int64_t begin = std::max<std::int64_t>(0, position - kAbout), end = std::min(length, ref_end + kAbout);
  const std::string about = reference_.bases(contig_, begin, end);
  const variant::ReferenceStretch stretch{begin, about};
  if (const std::string_view there = stretch.between(position, ref_end); contradicts(there, alleles[0]))
    throw io::input_error(
        settings_.candidates,
        fmt::format("{}:{} has REF {} and the reference {}: is it of another assembly?", candidate.record.contig,
                    position + 1, alleles[0].substr(0, 50), there.substr(0, 50)));
  if (candidate.unscored.empty()) normalise(candidate, alleles, stretch);
  return candidate;
}

void CandidateStream::normalise(Candidate& candidate, const std::vector<std::string>& alleles,
                                const variant::ReferenceStretch& about) {
  // Where REF says more than an N of the reference, REF is what reads are compared with.
  const auto at = static_cast<std::size_t>(candidate.site.position - about.begin);
  const std::string_view ref = about.bases.substr(at, alleles[0].size());
  for (std::size_t i = 1; i < alleles.size(); ++i) {
    if (alleles[i] == "*") {
      candidate.site.star = static_cast<std::int64_t>(i) - 1;
      candidate.site.alternates.emplace_back();
      continue;
    }
    variant::Edit edit = variant::normalised_edit(about, candidate.site.position, ref, alleles[i]);
    if (edit.begin == edit.end && edit.alternate.empty()) candidate.unscored = "ALT_is_REF";
    if (std::ranges::find(candidate.site.alternates, edit) != candidate.site.alternates.end())
      candidate.unscored = "two_ALT_are_one";
    candidate.site.alternates.push_back(std::move(edit));
  }
}

/// Adds a cluster that is whole, with the reference about it.
void CandidateStream::add(CandidateCluster& cluster, CandidateStretch& stretch) {
  if (cluster.candidates.empty()) return;
  bool any = false;
  for (const Candidate& candidate : cluster.candidates) {
    if (!candidate.unscored.empty()) continue;
    cluster.begin = any ? std::min(cluster.begin, candidate.site.begin()) : candidate.site.begin();
    cluster.end = std::max(cluster.end, candidate.site.shiftable_end());
    any = true;
  }
  if (any) {
    const std::int64_t length = reference_.contigs()[static_cast<std::size_t>(stretch.contig)].length;
    cluster.reference_begin = std::max<std::int64_t>(0, cluster.begin - kAbout);
    cluster.reference =
        reference_.bases(stretch.contig, cluster.reference_begin, std::min(length, cluster.end + kAbout));
  }
  stretch.clusters.push_back(std::exchange(cluster, {}));
}

CandidateStretch CandidateStream::next() {
  CandidateStretch stretch;
  if (!has_record_) return stretch;
  stretch.contig = contig_;
  const std::int64_t from = record_.position;
  std::int64_t reaches = from;  // where the last records could be shifted to
  CandidateCluster cluster;
  while (has_record_ && contig_ == stretch.contig) {
    Candidate candidate = checked(record_);
    const bool scored = candidate.unscored.empty();
    const std::int64_t begin = scored ? candidate.site.begin() : candidate.record.position;
    if (begin > reaches + kJoin || cluster.candidates.size() == kMostRecords) {
      add(cluster, stretch);
      const bool is_far = begin > reaches + kNextStretch || begin > from + kStretch;
      if (stretch.records > 0 && (is_far || stretch.records >= kMostOfStretch)) return stretch;
    }
    reaches = std::max(reaches, scored ? candidate.site.shiftable_end() : candidate.record.position + 1);
    cluster.candidates.push_back(std::move(candidate));
    ++stretch.records;
    has_record_ = read_one();
  }
  add(cluster, stretch);
  return stretch;
}

}  // namespace kiban::engine
