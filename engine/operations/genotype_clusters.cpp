#include "engine/operations/genotype_clusters.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace kiban::engine {
namespace {

/// Reads are looked at so far out of a cluster; and haplotypes reach so far out of the reads, that gaps find room.
constexpr std::int64_t kWindow = 150, kMargin = 10;
constexpr std::int64_t kAround = 2;

variant::AlignedReadView view_of(const io::AlignedRead& read, std::uint64_t name) {
  const auto has = [&](std::uint16_t flag) { return (read.flags & flag) != 0; };
  return {read.begin,           has(0x10), has(0x1),   has(0x8),   has(0x20),   read.mate_begin, read.fragment_length,
          read.mapping_quality, name,      read.cigar, read.bases, read.quality};
}

bool lies_at(const variant::PreparedRead& read, const variant::CandidateSite& site) {
  return read.begin < site.end() + kAround && read.end > site.begin() - kAround;
}

std::int64_t longest_edit(std::span<const variant::CandidateSite> sites) {
  std::int64_t longest = 0;
  for (const variant::CandidateSite& site : sites)
    for (const variant::Edit& edit : site.alternates)
      longest = std::max({longest, edit.end - edit.begin, static_cast<std::int64_t>(edit.alternate.size())});
  return longest;
}

void add_haplotypes(PreparedCluster& made, std::span<const variant::CandidateSite> sites) {
  const variant::ReferenceStretch reference = made.cluster->stretch();
  std::int64_t begin = made.cluster->begin, end = made.cluster->end;
  for (const variant::PreparedRead& read : made.reads) {
    begin = std::min(begin, read.begin);
    end = std::max(end, read.end);
  }
  const std::int64_t margin = kMargin + longest_edit(sites);
  begin = std::max(reference.begin, begin - margin);
  end = std::min(reference.end(), end + margin);
  made.haplotypes = variant::local_haplotypes(reference, begin, end, sites);
  for (const variant::LocalHaplotypes& haplotypes : made.haplotypes) {
    std::vector<std::int64_t>& reads = made.reads_of.emplace_back();
    for (std::int64_t r = 0; r < std::ssize(made.reads); ++r)
      if (std::ranges::any_of(haplotypes.sites, [&](std::int64_t s) {
            return lies_at(made.reads[static_cast<std::size_t>(r)], sites[static_cast<std::size_t>(s)]);
          }))
        reads.push_back(r);
  }
}

/// What PairHMM is given, as it grows.
struct PairArrays {
  std::vector<std::uint8_t> bases, base_quality, insertion_quality, deletion_quality, gap_quality, haplotype_bases;
  std::vector<std::int64_t> read_begin{0}, haplotype_begin{0}, reads_begin{0}, haplotypes_begin{0};

  void add(const variant::PreparedRead& read) {
    bases.insert(bases.end(), read.bases.begin(), read.bases.end());
    base_quality.insert(base_quality.end(), read.base_quality.begin(), read.base_quality.end());
    insertion_quality.insert(insertion_quality.end(), read.insertion_quality.begin(), read.insertion_quality.end());
    deletion_quality.insert(deletion_quality.end(), read.deletion_quality.begin(), read.deletion_quality.end());
    gap_quality.resize(bases.size(), variant::kGapQuality);
    read_begin.push_back(static_cast<std::int64_t>(bases.size()));
  }
  void add(const std::string& haplotype) {
    haplotype_bases.insert(haplotype_bases.end(), haplotype.begin(), haplotype.end());
    haplotype_begin.push_back(static_cast<std::int64_t>(haplotype_bases.size()));
  }
  void close_region() {
    reads_begin.push_back(static_cast<std::int64_t>(read_begin.size()) - 1);
    haplotypes_begin.push_back(static_cast<std::int64_t>(haplotype_begin.size()) - 1);
  }
  variant::PairHmmRegions regions() const {
    return {{bases, base_quality, insertion_quality, deletion_quality, gap_quality, read_begin},
            {haplotype_bases, haplotype_begin},
            reads_begin,
            haplotypes_begin};
  }
};

variant::AlleleKind kind_of(const std::string& alt, const std::string& ref) {
  if (alt == "*") return variant::AlleleKind::spanning_deletion;
  return alt.size() == ref.size() ? variant::AlleleKind::single_base : variant::AlleleKind::length_changing;
}

io::SampleGenotype written(const variant::GenotypeCall& call, std::int64_t ploidy) {
  io::SampleGenotype sample;
  sample.alleles = call.genotype;
  if (sample.alleles.empty()) sample.alleles.assign(static_cast<std::size_t>(ploidy), -1);
  sample.depths = call.depths;
  sample.depth = call.depth;
  sample.likelihoods = call.phred;
  sample.unfit = call.unfit;
  if (!call.genotype.empty()) sample.quality = call.quality;
  return sample;
}

/// Of one site: the reads that lie at it, by the haplotypes that tell its alleles apart.
void genotype(const PreparedCluster& prepared, std::size_t group, std::size_t site, std::span<const double> likelihoods,
              std::int64_t samples, io::GenotypedSite& into) {
  const variant::LocalHaplotypes& haplotypes = prepared.haplotypes[group];
  const Candidate& candidate =
      prepared.cluster
          ->candidates[static_cast<std::size_t>(prepared.scored[static_cast<std::size_t>(haplotypes.sites[site])])];
  const std::size_t columns = haplotypes.bases.size();
  const auto alleles = static_cast<std::int64_t>(candidate.record.alleles.size());
  std::vector<double> own;
  std::vector<std::int64_t> lengths;
  std::vector<std::vector<std::int64_t>> of_sample(static_cast<std::size_t>(samples));
  for (std::size_t r = 0; r < prepared.reads_of[group].size(); ++r) {
    const auto read = static_cast<std::size_t>(prepared.reads_of[group][r]);
    if (!lies_at(prepared.reads[read], candidate.site)) continue;
    of_sample[static_cast<std::size_t>(prepared.sample_of[read])].push_back(std::ssize(lengths));
    lengths.push_back(std::ssize(prepared.reads[read].bases));
    const auto row = likelihoods.subspan(r * columns, columns);
    own.insert(own.end(), row.begin(), row.end());
  }
  const variant::ReadEvidence evidence = variant::read_evidence(own, lengths, haplotypes.allele_of[site], alleles);
  std::vector<variant::GenotypeCall> calls;
  for (const std::vector<std::int64_t>& reads : of_sample) {
    calls.push_back(variant::genotype_call(evidence, reads, candidate.ploidy));
    into.samples.push_back(written(calls.back(), candidate.ploidy));
  }
  std::vector<variant::AlleleKind> kinds{variant::AlleleKind::reference};
  for (std::size_t i = 1; i < candidate.record.alleles.size(); ++i)
    kinds.push_back(kind_of(candidate.record.alleles[i], candidate.record.alleles[0]));
  const std::vector<std::int64_t> ploidies(calls.size(), candidate.ploidy);
  into.quality = variant::variant_quality(calls, kinds, ploidies);
  into.spanned = haplotypes.spanned[site];
}

}  // namespace

std::int64_t PreparedCluster::pairs() const {
  std::int64_t sum = 0;
  for (std::size_t g = 0; g < haplotypes.size(); ++g) sum += std::ssize(reads_of[g]) * std::ssize(haplotypes[g].bases);
  return sum;
}

PreparedCluster prepare(const CandidateCluster& cluster, const ClusterReads& reads, variant::PcrModel model) {
  PreparedCluster made;
  made.cluster = &cluster;
  std::vector<variant::CandidateSite> sites;
  for (std::int64_t c = 0; c < std::ssize(cluster.candidates); ++c) {
    const Candidate& candidate = cluster.candidates[static_cast<std::size_t>(c)];
    if (!candidate.unscored.empty()) continue;
    sites.push_back(candidate.site);
    made.scored.push_back(c);
  }
  if (sites.empty()) return made;
  std::vector<variant::AlignedReadView> views;
  for (std::size_t r = 0; r < reads.reads.size(); ++r) views.push_back(view_of(*reads.reads[r], reads.names[r]));
  made.reads = variant::prepared_reads(views, cluster.begin - kWindow, cluster.end + kWindow, model);
  for (const variant::PreparedRead& read : made.reads)
    made.sample_of.push_back(reads.samples[static_cast<std::size_t>(read.source)]);
  add_haplotypes(made, sites);
  return made;
}

std::vector<ClusterLikelihoods> score(Stream& stream, std::span<const PreparedCluster> clusters) {
  PairArrays arrays;
  std::int64_t pairs = 0;
  for (const PreparedCluster& cluster : clusters)
    for (std::size_t g = 0; g < cluster.haplotypes.size(); ++g) {
      for (const std::int64_t read : cluster.reads_of[g]) arrays.add(cluster.reads[static_cast<std::size_t>(read)]);
      for (const std::string& haplotype : cluster.haplotypes[g].bases) arrays.add(haplotype);
      arrays.close_region();
      pairs += std::ssize(cluster.reads_of[g]) * std::ssize(cluster.haplotypes[g].bases);
    }
  std::vector<double> all(static_cast<std::size_t>(pairs));
  variant::pairhmm(stream, arrays.regions(), all);
  std::vector<ClusterLikelihoods> likelihoods;
  auto at = all.begin();
  for (const PreparedCluster& cluster : clusters) {
    ClusterLikelihoods& own = likelihoods.emplace_back();
    for (std::size_t g = 0; g < cluster.haplotypes.size(); ++g) {
      const auto next = at + std::ssize(cluster.reads_of[g]) * std::ssize(cluster.haplotypes[g].bases);
      own.emplace_back(at, next);
      at = next;
    }
  }
  return likelihoods;
}

std::vector<io::GenotypedSite> genotyped(const PreparedCluster& prepared, const ClusterLikelihoods& likelihoods,
                                         std::int64_t samples) {
  std::vector<io::GenotypedSite> records;
  for (const Candidate& candidate : prepared.cluster->candidates) {
    io::GenotypedSite& record = records.emplace_back();
    record.site = candidate.record;
    record.unscored = candidate.unscored;
  }
  for (std::size_t g = 0; g < prepared.haplotypes.size(); ++g)
    for (std::size_t s = 0; s < prepared.haplotypes[g].sites.size(); ++s) {
      const auto site = static_cast<std::size_t>(prepared.haplotypes[g].sites[s]);
      genotype(prepared, g, s, likelihoods[g], samples, records[static_cast<std::size_t>(prepared.scored[site])]);
    }
  return records;
}

}  // namespace kiban::engine
