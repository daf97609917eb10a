#pragma once
#include <map>
#include <random>
#include <string>
#include <vector>

#include "engine/operations/standard.hpp"
#include "engine/runner.hpp"
#include "kernels/variant/edits.hpp"
#include "tests/io/scratch.hpp"
#include "tests/support/genome_files.hpp"

namespace kiban::test {

/// A short genome, reads of it, and candidates: files of a test of genotyping.
class GenomeSite {
 public:
  explicit GenomeSite(std::string bases = "") : reference(std::move(bases)) {
    std::mt19937 random(1);
    while (reference.size() < 300) reference += "ACGT"[random() % 4];
    reference_path_ = write_fasta(scratch / "reference.fa", {{"chr1", reference}});
  }

  std::string base(std::int64_t position) const { return reference.substr(static_cast<std::size_t>(position), 1); }
  /// A base that is another.
  std::string other(std::int64_t position) const { return base(position) == "T" ? "G" : "T"; }

  /// `count` reads of a sample, all with these edits, over the 60 bases about a position, aligned end to end.
  void reads(const std::string& sample, int count, std::int64_t about, const std::vector<variant::Edit>& edits,
             int flags = 0, int mapping_quality = 60) {
    std::string bases, cigar;
    std::int64_t at = std::max<std::int64_t>(0, about - 30);
    const std::int64_t begin = at, end = about + 30;
    for (const variant::Edit& edit : edits) {
      bases += between(at, edit.begin) + edit.alternate;
      const auto same = static_cast<std::int64_t>(edit.alternate.size()) == edit.end - edit.begin;
      cigar += std::to_string(edit.begin - at + (same ? edit.end - edit.begin : 0)) + "M";
      if (!same && edit.end > edit.begin) cigar += std::to_string(edit.end - edit.begin) + "D";
      if (!same && !edit.alternate.empty()) cigar += std::to_string(edit.alternate.size()) + "I";
      at = edit.end;
    }
    bases += between(at, end);
    cigar += std::to_string(end - at) + "M";
    if (!samples_.contains(sample))
      samples_[sample] = "@RG\tID:" + sample + "\tSM:" + sample + "\n", order_.push_back(sample);
    for (int i = 0; i < count; ++i)
      lines_.emplace(begin, "read" + std::to_string(lines_.size()) + "\t" + std::to_string(flags) + "\tchr1\t" +
                                std::to_string(begin + 1) + "\t" + std::to_string(mapping_quality) + "\t" + cigar +
                                "\t*\t0\t0\t" + bases + "\t" + std::string(bases.size(), 'I') + "\tRG:Z:" + sample +
                                "\n");
  }

  /// A line of VCF: `length` bases of the reference at a position, from 0, and ALT.
  std::string record(std::int64_t position, std::int64_t length, const std::string& alt) const {
    return "chr1\t" + std::to_string(position + 1) + "\t.\t" + between(position, position + length) + "\t" + alt +
           "\t.\t.\t.\n";
  }
  std::filesystem::path candidates(const std::vector<std::string>& records, const std::string& contig = "chr1",
                                   std::size_t length = 0) const {
    std::string text = "##fileformat=VCFv4.2\n##contig=<ID=" + contig +
                       ",length=" + std::to_string(length ? length : reference.size()) +
                       ">\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n";
    for (const std::string& record : records) text += record;
    return scratch.write("candidates.vcf", text);
  }
  std::filesystem::path write_bam(const std::string& name) const {
    std::string sam = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:" + std::to_string(reference.size()) + "\n";
    for (const std::string& sample : order_) sam += samples_.at(sample);
    for (const auto& [begin, line] : lines_) sam += line;
    return write_reads(scratch / name, sam);
  }

  /// The lines of the result; `more` adds to what is asked, or replaces it.
  std::vector<std::string> genotyped(const std::filesystem::path& candidates,
                                     const std::map<std::string, std::string>& more = {}) const {
    std::map<std::string, std::string> given = more;
    if (!given.contains("reads")) given["reads"] = write_bam("reads.bam");
    given.try_emplace("reference", reference_path_);
    given.try_emplace("candidates", candidates);
    given.try_emplace("scored", scratch / "out.vcf.gz");
    run(given);
    const auto lines = variant_lines(given["scored"]);
    std::filesystem::remove(given["scored"]);
    std::filesystem::remove(given["scored"] + ".tbi");
    return lines;
  }

  static engine::Report run(const std::map<std::string, std::string>& given, int threads = 2, Device device = {}) {
    const engine::Operation operation = engine::variant_genotype();
    Stream stream(device, threads);
    engine::Progress progress;
    return engine::run(operation, engine::request_from_text(operation, given), stream, progress);
  }

  Scratch scratch;
  std::string reference;

 private:
  std::string between(std::int64_t begin, std::int64_t end) const {
    return reference.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  }

  std::filesystem::path reference_path_;
  std::map<std::string, std::string> samples_;
  std::vector<std::string> order_;
  std::multimap<std::int64_t, std::string> lines_;
};

}  // namespace kiban::test
