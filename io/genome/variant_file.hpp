#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/genome/contig.hpp"

namespace kiban::io {

/// A line of VCF as far as it says what to look for.
struct VariantSite {
  std::string contig;
  std::int64_t position = 0;         ///< from 0
  std::string id;                    ///< "." for none
  std::vector<std::string> alleles;  ///< REF, then ALT as they stand
};

/// VCF, plain or compressed, or BCF, from its first record to its last. Samples are not looked at. One thread at a
/// time.
class VariantReader {
 public:
  /// Errors: input (missing; not VCF or BCF; a header that cannot be read).
  explicit VariantReader(const std::filesystem::path& path);
  ~VariantReader();

  /// Of the header, which need not name all.
  const std::vector<Contig>& contigs() const { return contigs_; }
  /// False at the end. Errors: input (a record that is cut short or no record, with its number).
  bool next(VariantSite& site);

 private:
  std::filesystem::path path_;
  struct Handles;
  std::unique_ptr<Handles> handles_;
  std::vector<Contig> contigs_;
  std::int64_t number_ = 0;
};

/// What was found of one sample.
struct SampleGenotype {
  std::vector<int> alleles;      ///< [ploidy], -1 for unknown
  std::vector<int> depths;       ///< [allele] AD
  int depth = 0;                 ///< DP
  std::optional<int> quality;    ///< GQ
  std::vector<int> likelihoods;  ///< [genotype in VCF's order] PL; empty where there are none
  int unfit = 0;                 ///< UF
};

struct GenotypedSite {
  VariantSite site;
  std::optional<double> quality;        ///< QUAL
  std::string unscored;                 ///< why, where nothing was computed
  bool spanned = false;                 ///< SPANDEL
  std::vector<SampleGenotype> samples;  ///< empty where nothing was computed
};

/// VCF compressed by bgzip, or BCF, and its index (.tbi; .csi for BCF and beyond 2^29 bases).
class VariantWriter {
 public:
  ///   path         where to write; its extension says what
  ///   final_path   as sentences name it
  ///   index        where to write the index
  ///   source       for the header's line of that name
  VariantWriter(const std::filesystem::path& path, std::filesystem::path final_path, const std::filesystem::path& index,
                const std::vector<Contig>& contigs, const std::vector<std::string>& samples, const std::string& source);
  ~VariantWriter();
  /// In ascending order. Errors: input (the disk is full or failed).
  void write(const GenotypedSite& genotyped);
  /// To be called at the end.
  void finish();

 private:
  void write_genotypes(const GenotypedSite& genotyped);
  void require(bool done) const;

  std::filesystem::path path_, final_path_, index_;
  struct Handles;
  std::unique_ptr<Handles> handles_;
};

/// The extension that the index of such a file has. Errors: input (neither .vcf.gz nor .bcf).
std::string variant_index_extension(const std::filesystem::path& path, const std::vector<Contig>& contigs);

}  // namespace kiban::io
