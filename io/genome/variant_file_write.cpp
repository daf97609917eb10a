#include <fmt/format.h>
#include <htslib/vcf.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "io/genome/hts.hpp"
#include "io/genome/variant_file.hpp"
#include "io/output_file.hpp"

namespace kiban::io {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLines[] = {
    R"(##INFO=<ID=UNSCORED,Number=1,Type=String,Description="Why nothing was computed: the record is passed through">)",
    R"(##INFO=<ID=SPANDEL,Number=0,Type=Flag,Description="A candidate deletes this position, and counts as REF here">)",
    R"(##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype of the greatest likelihood">)",
    R"(##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Reads that tell the alleles apart, by the allele they fit best">)",
    R"(##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Reads that were looked at">)",
    R"(##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="Phred: how much less likely the second genotype is, at most 99">)",
    R"(##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Phred likelihood of each genotype over the greatest">)",
    R"(##FORMAT=<ID=UF,Number=1,Type=Integer,Description="Reads that fit no haplotype">)"};

int genotype_code(int allele) { return allele < 0 ? bcf_gt_missing : bcf_gt_unphased(allele); }

/// One row a sample, all as long as the longest; what is beyond a sample's own is marked as no value.
template <class Values>
std::vector<std::int32_t> rows(const std::vector<SampleGenotype>& samples, const Values& values) {
  std::size_t longest = 1;
  for (const SampleGenotype& sample : samples) longest = std::max(longest, values(sample).size());
  std::vector<std::int32_t> made;
  for (const SampleGenotype& sample : samples) {
    std::vector<std::int32_t> row = values(sample);
    if (row.empty()) row.push_back(bcf_int32_missing);
    row.resize(longest, bcf_int32_vector_end);
    made.insert(made.end(), row.begin(), row.end());
  }
  return made;
}

}  // namespace

struct VariantWriter::Handles {
  HtsFile file;
  Hts<bcf_hdr_t, bcf_hdr_destroy> header;
  Hts<bcf1_t, bcf_destroy> record{bcf_init()};
};

VariantWriter::~VariantWriter() = default;

std::string variant_index_extension(const fs::path& path, const std::vector<Contig>& contigs) {
  const std::string extension = full_extension(path);
  const bool is_bcf = path.extension() == ".bcf";
  if (!is_bcf && !extension.ends_with(".vcf.gz"))
    throw Error(ErrorCode::input, path.string() + ": is written compressed and indexed; name it .vcf.gz or .bcf");
  constexpr std::int64_t kMostOfTbi = 1 << 29;
  const bool longer = std::ranges::any_of(contigs, [](const Contig& contig) { return contig.length > kMostOfTbi; });
  return is_bcf || longer ? ".csi" : ".tbi";
}

VariantWriter::VariantWriter(const fs::path& path, fs::path final_path, const fs::path& index,
                             const std::vector<Contig>& contigs, const std::vector<std::string>& samples,
                             const std::string& source)
    : path_(path), final_path_(std::move(final_path)), index_(index), handles_(std::make_unique<Handles>()) {
  handles_->file.reset(hts_open(path.c_str(), path.extension() == ".bcf" ? "wb" : "wz"));
  handles_->header.reset(bcf_hdr_init("w"));
  require(handles_->file && handles_->header && handles_->record);
  htsFile* const file = handles_->file.get();
  bcf_hdr_t* const header = handles_->header.get();
  bcf_hdr_append(header, ("##source=" + source).c_str());
  for (const Contig& contig : contigs)
    bcf_hdr_append(header, fmt::format("##contig=<ID={},length={}>", contig.name, contig.length).c_str());
  for (const char* line : kLines) bcf_hdr_append(header, line);
  for (const std::string& sample : samples) require(bcf_hdr_add_sample(header, sample.c_str()) == 0);
  require(bcf_hdr_sync(header) == 0 && bcf_hdr_write(file, header) == 0);
  const bool csi = variant_index_extension(final_path_, contigs) == ".csi";
  require(bcf_idx_init(file, header, csi ? 14 : 0, index_.c_str()) == 0);
}

void VariantWriter::require(bool done) const {
  if (!done) throw write_error(final_path_, errno_of_growth(path_));
}

void VariantWriter::write(const GenotypedSite& genotyped) {
  bcf_hdr_t* const header = handles_->header.get();
  bcf1_t* const record = handles_->record.get();
  const VariantSite& site = genotyped.site;
  bcf_clear(record);
  record->rid = bcf_hdr_name2id(header, site.contig.c_str());
  record->pos = site.position;
  if (genotyped.quality)
    record->qual = static_cast<float>(std::round(*genotyped.quality * 100) / 100);
  else
    bcf_float_set_missing(record->qual);
  std::vector<const char*> alleles;
  for (const std::string& allele : site.alleles) alleles.push_back(allele.c_str());
  require(bcf_update_id(header, record, site.id.c_str()) == 0);
  require(bcf_update_alleles(header, record, alleles.data(), static_cast<int>(alleles.size())) == 0);
  if (!genotyped.unscored.empty())
    require(bcf_update_info_string(header, record, "UNSCORED", genotyped.unscored.c_str()) == 0);
  if (genotyped.spanned) require(bcf_update_info_flag(header, record, "SPANDEL", nullptr, 1) == 0);
  write_genotypes(genotyped);
  require(bcf_write(handles_->file.get(), header, record) == 0);
}

void VariantWriter::write_genotypes(const GenotypedSite& genotyped) {
  bcf_hdr_t* const header = handles_->header.get();
  bcf1_t* const record = handles_->record.get();
  std::vector<SampleGenotype> samples = genotyped.samples;
  if (samples.empty())  // every record has its columns
    samples.resize(static_cast<std::size_t>(bcf_hdr_nsamples(header)), SampleGenotype{{-1}, {}, 0, {}, {}, 0});
  const auto genotypes = rows(samples, [](const SampleGenotype& sample) {
    std::vector<std::int32_t> codes;
    for (const int allele : sample.alleles) codes.push_back(genotype_code(allele));
    return codes;
  });
  require(bcf_update_genotypes(header, record, genotypes.data(), static_cast<int>(genotypes.size())) == 0);
  if (genotyped.samples.empty()) return;
  const auto put = [&](const char* key, const std::vector<std::int32_t>& values) {
    require(bcf_update_format_int32(header, record, key, values.data(), static_cast<int>(values.size())) == 0);
  };
  using Row = std::vector<std::int32_t>;
  put("AD",
      rows(samples, [](const SampleGenotype& sample) { return Row(sample.depths.begin(), sample.depths.end()); }));
  put("DP", rows(samples, [](const SampleGenotype& sample) { return Row{sample.depth}; }));
  put("GQ", rows(samples, [](const SampleGenotype& sample) { return sample.quality ? Row{*sample.quality} : Row{}; }));
  put("PL", rows(samples, [](const SampleGenotype& sample) {
        return Row(sample.likelihoods.begin(), sample.likelihoods.end());
      }));
  put("UF", rows(samples, [](const SampleGenotype& sample) { return Row{sample.unfit}; }));
}

void VariantWriter::finish() {
  const bool indexed = bcf_idx_save(handles_->file.get()) == 0;
  const bool closed = hts_close(handles_->file.release()) == 0;
  require(indexed && closed);
}

}  // namespace kiban::io
