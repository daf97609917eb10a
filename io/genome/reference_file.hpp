#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/genome/contig.hpp"

namespace kiban::io {

/// FASTA with its index beside it: plain with .fai, or bgzipped with .fai and .gzi. One thread at a time.
class ReferenceFile {
 public:
  /// Errors: input (missing, or not FASTA; no index; an index that does not fit).
  explicit ReferenceFile(const std::filesystem::path& path);
  ~ReferenceFile();

  const std::vector<Contig>& contigs() const { return contigs_; }
  /// Upper-case bases [begin, end) of a contig, which must lie in it. Kept is a stretch of some 64 kb about the last
  /// ones. Errors: input (the file is cut short or damaged).
  std::string bases(std::int64_t contig, std::int64_t begin, std::int64_t end);

 private:
  void fetch(std::int64_t contig, std::int64_t begin, std::int64_t end);

  std::filesystem::path path_;
  struct Handles;
  std::unique_ptr<Handles> handles_;
  std::vector<Contig> contigs_;
  std::int64_t kept_contig_ = -1, kept_begin_ = 0;
  std::string kept_;
};

/// The file and what lies beside it.
std::vector<std::filesystem::path> reference_files(const std::filesystem::path& path);

}  // namespace kiban::io
