#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "engine/operations/genotype_clusters.hpp"
#include "engine/operations/standard.hpp"
#include "io/input_file.hpp"
#include "io/output_file.hpp"
#include "kernels/core/parallel.hpp"

namespace kiban::engine {
namespace {

/// So many pairs fill any GPU, or a thread for some hundredths of a second, and are little to hold.
constexpr std::int64_t kPairsOnGpu = 1 << 17, kPairsOfThread = 1 << 12;
/// The reads of a sample in a stretch, fifty deep and all of them near candidates; what PairHMM takes of a thread's
/// pairs, or of a GPU's on either side.
constexpr std::size_t kBytesOfStretch = 16 << 20, kBytesOfThread = 32 << 20, kBytesOfGpu = 512 << 20;

variant::PcrModel model_of(const std::string& name) {
  if (name == "none") return variant::PcrModel::none;
  if (name == "aggressive") return variant::PcrModel::aggressive;
  return name == "hostile" ? variant::PcrModel::hostile : variant::PcrModel::conservative;
}

CandidateSettings settings_of(const Request& request, const std::vector<io::Contig>& contigs) {
  CandidateSettings settings{request.path("candidates"), request.path("reference"), {}, {}, {}};
  settings.ploidy = request.parameters.integer("ploidy");
  if (request.parameters.has("regions"))
    settings.regions = io::parse_regions(request.parameters.text("regions"), contigs);
  if (request.uses("ploidy-regions"))
    settings.ploidies = io::read_numbered_bed(request.path("ploidy-regions"), contigs, 20);
  return settings;
}

class GenotypeWork : public Work {
 public:
  /// Reads the candidates to their end: what is wrong with them is found before anything is computed.
  explicit GenotypeWork(const Request& request)
      : request_(request),
        contigs_(io::ReferenceFile(request.path("reference")).contigs()),
        settings_(settings_of(request, contigs_)),
        reads_(io::listed_reads(request.path("reads")), request.path("reference"), contigs_),
        index_extension_(io::variant_index_extension(request.path("scored"), contigs_)) {
    CandidateStream candidates(settings_);
    std::int64_t contig = -1;
    for (CandidateStretch stretch = candidates.next(); stretch.records > 0; stretch = candidates.next()) {
      if (stretch.contig != contig) reads_.require_contig(stretch.contig);
      contig = stretch.contig;
      records_ += stretch.records;
    }
  }

  Plan plan(Device device) const override {
    Plan plan;
    plan.updates = records_;
    const Stream stream(device);
    const bool on_cpu = device.kind == DeviceKind::cpu;
    plan.host_bytes =
        static_cast<std::size_t>(stretches_at_a_time(stream)) * reads_.samples().size() * kBytesOfStretch +
        (on_cpu ? static_cast<std::size_t>(stream.threads()) * kBytesOfThread : kBytesOfGpu);
    plan.device_bytes = on_cpu ? 0 : kBytesOfGpu;
    return plan;
  }

  void run(Stream& stream, Progress& progress) override {
    output_.emplace(request_.path("scored"));
    index_.emplace(request_.path("scored").string() + index_extension_);
    io::VariantWriter writer(output_->temporary_path(), output_->path(), index_->temporary_path(), contigs_,
                             reads_.samples(), "Kiban variant.genotype 1");
    CandidateStream candidates(settings_);
    for (;;) {
      progress.enter("read");
      std::vector<CandidateStretch> stretches;
      while (std::ssize(stretches) < stretches_at_a_time(stream)) {
        stretches.push_back(candidates.next());
        if (stretches.back().records > 0) continue;
        stretches.pop_back();
        break;
      }
      if (stretches.empty()) break;
      compute(stream, progress, stretches, writer);
    }
    progress.enter("write");
    writer.finish();
  }

  void store(Progress& progress) override {
    progress.enter("write");
    io::commit_together({&*output_, &*index_});
  }

  std::vector<Finding> findings() const override {
    return {{"records", static_cast<double>(done_), ""},
            {"passed_through", static_cast<double>(unscored_), ""},
            {"samples", static_cast<double>(reads_.samples().size()), ""}};
  }

 private:
  /// Enough for all threads, unless many samples make them large.
  std::int64_t stretches_at_a_time(const Stream& stream) const {
    constexpr std::size_t kMostBytes = std::size_t{4} << 30;
    const std::size_t fit = kMostBytes / (kBytesOfStretch * reads_.samples().size());
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(fit), 1, 2 * stream.threads());
  }

  void compute(Stream& stream, Progress& progress, const std::vector<CandidateStretch>& stretches,
               io::VariantWriter& writer) {
    std::vector<std::vector<PreparedCluster>> prepared(stretches.size());
    std::vector<BaseAgreement> agreements(stretches.size());
    parallel_for(stream, std::ssize(stretches), 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto s = static_cast<std::size_t>(begin); s < static_cast<std::size_t>(end); ++s)
        prepared[s] = prepare_stretch(stretches[s], agreements[s]);
    });
    for (const BaseAgreement& agreement : agreements) require_agreement(agreement);
    std::vector<PreparedCluster> together;
    std::int64_t pairs = 0;
    const std::int64_t at_a_time =
        stream.device().kind == DeviceKind::cpu ? kPairsOfThread * stream.threads() : kPairsOnGpu;
    const auto flush = [&] {
      compute_together(stream, progress, together, writer);
      together.clear();
      pairs = 0;
    };
    for (std::vector<PreparedCluster>& stretch : prepared)
      for (PreparedCluster& cluster : stretch) {
        pairs += cluster.pairs();
        together.push_back(std::move(cluster));
        if (pairs >= at_a_time) flush();
      }
    if (!together.empty()) flush();
  }

  std::vector<PreparedCluster> prepare_stretch(const CandidateStretch& stretch, BaseAgreement& agreement) {
    std::vector<PreparedCluster> made;
    std::vector<ClusterReads> reads = reads_.fetch(stretch, agreement);
    for (std::size_t c = 0; c < stretch.clusters.size(); ++c) {
      made.push_back(prepare(stretch.clusters[c], reads[c], model_of(request_.parameters.text("pcr-model"))));
      reads[c] = {};
    }
    return made;
  }

  void compute_together(Stream& stream, Progress& progress, const std::vector<PreparedCluster>& clusters,
                        io::VariantWriter& writer) {
    progress.enter("compute");
    const std::vector<ClusterLikelihoods> likelihoods = score(stream, clusters);
    std::vector<std::vector<io::GenotypedSite>> records(clusters.size());
    parallel_for(stream, std::ssize(clusters), 8, [&](std::int64_t begin, std::int64_t end) {
      for (auto c = static_cast<std::size_t>(begin); c < static_cast<std::size_t>(end); ++c)
        records[c] = genotyped(clusters[c], likelihoods[c], std::ssize(reads_.samples()));
    });
    progress.enter("write");
    for (const std::vector<io::GenotypedSite>& of_cluster : records)
      for (const io::GenotypedSite& record : of_cluster) {
        writer.write(record);
        ++done_;
        unscored_ += record.unscored.empty() ? 0 : 1;
      }
    progress.report(static_cast<double>(done_) / static_cast<double>(std::max(done_, records_)));
  }

  /// Reads of another assembly, or of another species, have other bases.
  void require_agreement(const BaseAgreement& more) {
    agreement_.compared += more.compared;
    agreement_.equal += more.equal;
    constexpr std::int64_t kEnough = 2000;
    if (agreement_.compared >= kEnough && agreement_.equal < agreement_.compared * 8 / 10)
      throw io::input_error(request_.path("reference"),
                            fmt::format("only {} of {} sure bases of the reads at the first candidates are the "
                                        "reference's: the reads were aligned to another",
                                        agreement_.equal, agreement_.compared));
  }

  Request request_;
  std::vector<io::Contig> contigs_;
  CandidateSettings settings_;
  ReadsPool reads_;
  std::string index_extension_;
  std::int64_t records_ = 0, done_ = 0, unscored_ = 0;
  BaseAgreement agreement_;
  std::optional<io::OutputFile> output_, index_;
};

}  // namespace

Operation variant_genotype() {
  Operation operation;
  operation.name = "variant.genotype";
  operation.summary =
      "Genotypes candidate variants from aligned reads: likelihoods, genotypes and qualities by GATK's model";
  operation.update = "record";
  operation.notes = {
      "Every record of the candidates comes out once, in its place, with CHROM, POS, ID, REF and ALT as they were; "
      "QUAL, "
      "INFO and the samples are new, FILTER is empty. FORMAT is GT:AD:DP:GQ:PL:UF; UF counts reads that fit no "
      "haplotype.",
      "Alleles are trimmed and shifted left inside. Records closer than 20 bases are told apart by haplotypes that "
      "combine their alleles, up to 32; where there would be more, each record by its own alleles and its nearest "
      "neighbours', up to 16 haplotypes.",
      "Looked at are reads of mapping quality 20 and more, no duplicates, secondary or supplementary alignments or "
      "those "
      "that failed quality control; at most 1,000 a sample and cluster, chosen by a hash of their names.",
      "Samples are those of the read groups (SM) of all files; a file without read groups is a sample of its name.",
      "Symbolic alleles, <NON_REF>, breakends, alleles of more than 1,000 bases and records of more than 1,024 "
      "genotypes "
      "are passed through, with the reason in INFO/UNSCORED. A haplotype that deletes a record's position counts as "
      "REF "
      "there (INFO/SPANDEL), or as * where the record lists it.",
      "The index is written beside the result (.tbi; .csi of BCF). Equal input gives an equal file, for any number of "
      "threads. CRAM is decoded with the given reference alone.",
  };
  operation.ports = {
      {"reads", PortDirection::in, PortKind::reads, true,
       "BAM or CRAM, sorted and indexed; or a text (.txt) that names one a line"},
      {"reference", PortDirection::in, PortKind::reference, true,
       "FASTA with its .fai, plain or bgzipped with its .gzi"},
      {"candidates", PortDirection::in, PortKind::variants, true, "What to look for: sorted VCF or BCF"},
      {"ploidy-regions", PortDirection::in, PortKind::regions, false,
       "BED whose fourth column is the ploidy there: X, Y, MT"},
      {"scored", PortDirection::out, PortKind::variants, true, "Genotypes, .vcf.gz or .bcf, and their index beside it"},
  };
  operation.parameters = {
      Parameter::integer("ploidy", "", "Chromosomes of a sample").by_default(std::int64_t{2}).at_least(1).at_most(20),
      Parameter::text("regions", "Only records that begin there: chr20:10000001-10100000, several after commas")
          .or_else("all records"),
      Parameter::choice("pcr-model", {"none", "conservative", "aggressive", "hostile"},
                        "How much PCR lengthens and shortens repeats; none for PCR-free libraries")
          .by_default(std::string("conservative")),
  };
  operation.load = [](const Request& request) { return std::make_unique<GenotypeWork>(request); };
  return operation;
}

}  // namespace kiban::engine
