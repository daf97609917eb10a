#include "engine/operations/genotype_reads.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <queue>
#include <tuple>
#include <utility>

#include "io/input_file.hpp"

namespace kiban::engine {
namespace {

constexpr std::uint16_t kUnwanted = 0x4 | 0x100 | 0x200 | 0x400 | 0x800;  // unmapped, secondary, failed, duplicate, ...
constexpr std::int64_t kAround = 2;     // reads so near to a site may have something to say of it
constexpr std::int64_t kClipped = 200;  // clipped ends reach so far at most out of what an index knows
constexpr std::int64_t kShifted =
    3000;  // a cluster may begin before the one that precedes it, by what a shift is at most
constexpr std::uint8_t kSureBase = 20;

/// FNV-1a, and then mixed: the order of names must not follow from the order of lanes and tiles.
std::uint64_t hash_of(const std::string& name, std::int64_t sample) {
  std::uint64_t hash = 14695981039346656037ULL ^ static_cast<std::uint64_t>(sample);
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 1099511628211ULL;
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdULL;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return hash ^ (hash >> 33);
}

/// [begin, end) with what is clipped at both ends.
std::pair<std::int64_t, std::int64_t> unclipped(const io::AlignedRead& read) {
  const auto clip = [](std::uint32_t operation) {
    return (operation & 15) == 4 ? static_cast<std::int64_t>(operation >> 4) : 0;
  };
  std::int64_t before = 0, after = 0;
  for (auto at = read.cigar.begin(); at != read.cigar.end() && ((*at & 15) == 4 || (*at & 15) == 5); ++at)
    before += clip(*at);
  for (auto at = read.cigar.rbegin(); at != read.cigar.rend() && ((*at & 15) == 4 || (*at & 15) == 5); ++at)
    after += clip(*at);
  return {read.begin - before, read.end + after};
}

struct Held {
  std::uint64_t name = 0;
  std::int64_t order = 0, sample = 0;
  std::shared_ptr<const io::AlignedRead> read;

  friend bool operator<(const Held& a, const Held& b) { return std::tie(a.name, a.order) < std::tie(b.name, b.order); }
};

/// Of one sample at one cluster; the last by name on top.
using Chosen = std::priority_queue<Held>;

void hold(Chosen& chosen, const Held& held) {
  if (chosen.size() == kMostReads) {
    if (!(held < chosen.top())) return;
    chosen.pop();
  }
  chosen.push(held);
}

ClusterReads in_order(std::vector<Chosen>& of_samples) {
  std::vector<Held> all;
  for (Chosen& chosen : of_samples)
    for (; !chosen.empty(); chosen.pop()) all.push_back(chosen.top());
  std::ranges::sort(all, {}, &Held::order);
  ClusterReads reads;
  for (Held& held : all) {
    reads.names.push_back(held.name);
    reads.samples.push_back(held.sample);
    reads.reads.push_back(std::move(held.read));
  }
  return reads;
}

void compare_bases(const io::AlignedRead& read, const variant::ReferenceStretch& reference, BaseAgreement& agreement) {
  std::int64_t at = read.begin;
  std::size_t base = 0;
  for (const std::uint32_t operation : read.cigar) {
    const auto length = static_cast<std::int64_t>(operation >> 4);
    const std::uint32_t code = operation & 15;
    const bool aligned = code == 0 || code == 7 || code == 8;
    for (std::int64_t i = 0; aligned && i < length; ++i) {
      const std::size_t own = base + static_cast<std::size_t>(i);
      if (at + i < reference.begin || at + i >= reference.end() || read.quality[own] < kSureBase) continue;
      if (const char there = reference.at(at + i); there != 'N') {
        ++agreement.compared;
        agreement.equal += there == static_cast<char>(read.bases[own]) ? 1 : 0;
      }
    }
    if (aligned || code == 2 || code == 3) at += length;
    if (aligned || code == 1 || code == 4) base += static_cast<std::size_t>(length);
  }
}

}  // namespace

ReadsPool::ReadsPool(const std::vector<std::filesystem::path>& files, const std::filesystem::path& reference,
                     const std::vector<io::Contig>& reference_contigs)
    : paths_(files), reference_(reference), contigs_(reference_contigs) {
  std::unique_ptr<Files> opened = take();
  for (const io::ReadsFile& file : opened->files) {
    std::vector<std::int64_t>& own = sample_of_.emplace_back();
    for (const std::string& sample : file.samples()) {
      const auto found = std::ranges::find(samples_, sample);
      own.push_back(found - samples_.begin());
      if (found == samples_.end()) samples_.push_back(sample);
    }
    std::vector<std::int64_t>& contig_of = contig_of_.emplace_back(contigs_.size(), -1);
    const auto places = io::contig_places(file.contigs());
    for (std::size_t i = 0; i < contigs_.size(); ++i) {
      if (const auto place = places.find(contigs_[i].name); place != places.end()) contig_of[i] = place->second;
      const std::int64_t length = contig_of[i] < 0 ? 0 : file.contigs()[static_cast<std::size_t>(contig_of[i])].length;
      if (contig_of[i] >= 0 && length != contigs_[i].length)
        throw io::input_error(file.path(), fmt::format("{} has {} bases here and {} in the reference: the reads were "
                                                       "aligned to another",
                                                       contigs_[i].name, length, contigs_[i].length));
    }
  }
  idle_.push_back(std::move(opened));
}

std::unique_ptr<ReadsPool::Files> ReadsPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Files> files = std::move(idle_.back());
      idle_.pop_back();
      return files;
    }
  }
  auto files = std::make_unique<Files>();
  for (const std::filesystem::path& path : paths_) files->files.emplace_back(path, reference_);
  return files;
}

void ReadsPool::require_contig(std::int64_t contig) {
  const std::string& name = contigs_[static_cast<std::size_t>(contig)].name;
  for (std::size_t f = 0; f < paths_.size(); ++f)
    if (contig_of_[f][static_cast<std::size_t>(contig)] < 0) {
      const std::unique_ptr<Files> files = take();
      throw io::input_error(paths_[f], fmt::format("there is no sequence {}{}", name,
                                                   io::contig_hint(files->files[f].contigs(), name, "the file")));
    }
}

std::vector<ClusterReads> ReadsPool::fetch(const CandidateStretch& stretch, BaseAgreement& agreement) {
  const std::vector<CandidateCluster>& clusters = stretch.clusters;
  std::vector<std::vector<Chosen>> chosen(clusters.size(), std::vector<Chosen>(samples_.size()));
  std::int64_t begin = -1, end = -1;
  for (const CandidateCluster& cluster : clusters) {
    if (cluster.begin == cluster.end) continue;
    begin = begin < 0 ? cluster.begin : std::min(begin, cluster.begin);
    end = std::max(end, cluster.end);
  }
  std::vector<ClusterReads> made(clusters.size());
  if (begin < 0) return made;
  std::unique_ptr<Files> files = take();
  std::int64_t order = 0;
  for (std::size_t f = 0; f < files->files.size(); ++f) {
    std::size_t first = 0;  // of the clusters that a read may still reach
    const auto each = [&](const io::AlignedRead& read) {
      const auto [from, to] = unclipped(read);
      while (first < clusters.size() && clusters[first].end + kAround + kClipped <= read.begin) ++first;
      const std::int64_t sample = sample_of_[f][static_cast<std::size_t>(read.sample)];
      Held held{0, order++, sample, nullptr};
      for (std::size_t c = first; c < clusters.size(); ++c) {
        const CandidateCluster& cluster = clusters[c];
        if (cluster.begin == cluster.end) continue;
        if (cluster.begin - kShifted - kClipped >= read.end) break;
        if (to <= cluster.begin - kAround || from >= cluster.end + kAround) continue;
        if (!held.read) {
          held.read = std::make_shared<const io::AlignedRead>(read);
          held.name = hash_of(read.name, sample);
          compare_bases(read, cluster.stretch(), agreement);
        }
        hold(chosen[c][static_cast<std::size_t>(sample)], held);
      }
    };
    files->files[f].fetch(contig_of_[f][static_cast<std::size_t>(stretch.contig)],
                          std::max<std::int64_t>(0, begin - kAround - kClipped), end + kAround + kClipped,
                          {kUnwanted, kLeastMappingQuality}, each);
  }
  for (std::size_t c = 0; c < clusters.size(); ++c) made[c] = in_order(chosen[c]);
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(files));
  return made;
}

}  // namespace kiban::engine
