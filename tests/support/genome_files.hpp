#pragma once
#include <htslib/bgzf.h>
#include <htslib/faidx.h>
#include <htslib/sam.h>
#include <htslib/tbx.h>
#include <htslib/vcf.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

/// Small files of genomes, written by HTSlib from texts.
namespace kiban::test {

inline void require(bool done, const std::string& what) {
  if (!done) throw std::runtime_error("HTSlib could not write " + what);
}

/// Sequences by name, 60 bases a line, and the index; bgzipped where the path ends in .gz.
inline std::filesystem::path write_fasta(const std::filesystem::path& path,
                                         const std::vector<std::pair<std::string, std::string>>& sequences) {
  std::string text;
  for (const auto& [name, bases] : sequences) {
    text += ">" + name + "\n";
    for (std::size_t at = 0; at < bases.size(); at += 60) text += bases.substr(at, 60) + "\n";
  }
  BGZF* const file = bgzf_open(path.c_str(), path.extension() == ".gz" ? "w" : "wu");
  require(file && bgzf_write(file, text.data(), text.size()) >= 0 && bgzf_close(file) == 0, path);
  require(fai_build(path.c_str()) == 0, path.string() + ".fai");
  return path;
}

/// SAM text as BAM, or as CRAM where the path says so, with its index.
inline std::filesystem::path write_reads(const std::filesystem::path& path, const std::string& sam,
                                         const std::filesystem::path& reference = {}, bool with_index = true) {
  const std::filesystem::path text = path.string() + ".sam";
  std::ofstream(text) << sam;
  htsFile* const from = hts_open(text.c_str(), "r");
  sam_hdr_t* const header = from ? sam_hdr_read(from) : nullptr;
  const bool cram = path.extension() == ".cram";
  htsFile* const to = hts_open(path.c_str(), cram ? "wc" : "wb");
  require(header && to, path);
  if (cram) require(hts_set_fai_filename(to, reference.c_str()) == 0, path);
  require(sam_hdr_write(to, header) == 0, path);
  bam1_t* const record = bam_init1();
  while (sam_read1(from, header, record) >= 0) require(sam_write1(to, header, record) >= 0, path);
  bam_destroy1(record);
  sam_hdr_destroy(header);
  hts_close(from);
  require(hts_close(to) == 0, path);
  if (with_index) require(sam_index_build(path.c_str(), 0) == 0, path.string() + ".bai");
  std::filesystem::remove(text);
  return path;
}

/// VCF text as it stands, bgzipped (.vcf.gz) or as BCF.
inline std::filesystem::path write_variants(const std::filesystem::path& path, const std::string& vcf) {
  if (path.extension() == ".vcf") {
    std::ofstream(path) << vcf;
    return path;
  }
  const std::filesystem::path text = path.string() + ".vcf";
  std::ofstream(text) << vcf;
  htsFile* const from = hts_open(text.c_str(), "r");
  htsFile* const to = hts_open(path.c_str(), path.extension() == ".bcf" ? "wb" : "wz");
  bcf_hdr_t* const header = from ? bcf_hdr_read(from) : nullptr;
  require(header && to && bcf_hdr_write(to, header) == 0, path);
  bcf1_t* const record = bcf_init();
  while (bcf_read(from, header, record) == 0) require(bcf_write(to, header, record) == 0, path);
  bcf_destroy(record);
  bcf_hdr_destroy(header);
  hts_close(from);
  require(hts_close(to) == 0, path);
  std::filesystem::remove(text);
  return path;
}

/// Lines of a VCF or BCF, the header's left out, without their ends.
inline std::vector<std::string> variant_lines(const std::filesystem::path& path) {
  htsFile* const file = hts_open(path.c_str(), "r");
  bcf_hdr_t* const header = file ? bcf_hdr_read(file) : nullptr;
  require(header, path);
  bcf1_t* const record = bcf_init();
  std::vector<std::string> lines;
  kstring_t line{0, 0, nullptr};
  while (bcf_read(file, header, record) == 0) {
    line.l = 0;
    vcf_format(header, record, &line);
    lines.emplace_back(line.s, line.l - 1);
  }
  free(line.s);
  bcf_destroy(record);
  bcf_hdr_destroy(header);
  hts_close(file);
  return lines;
}

/// The fields of a line.
inline std::vector<std::string> fields_of(const std::string& line, char between = '\t') {
  std::vector<std::string> fields{""};
  for (const char letter : line)
    if (letter == between)
      fields.emplace_back();
    else
      fields.back() += letter;
  return fields;
}

}  // namespace kiban::test
