#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "io/genome/contig.hpp"

namespace kiban::io {

/// Bases [begin, end) of a contig, from 0.
struct GenomeRegion {
  std::int64_t contig = 0, begin = 0, end = 0;
};

/// "chr20:10000001-10100000,chrX": as samtools and bcftools read them, 1 the first base, both ends included; several
/// after commas. Errors: usage (a sequence that there is not; numbers that cannot be).
std::vector<GenomeRegion> parse_regions(const std::string& text, const std::vector<Contig>& contigs);

/// A BED file whose fourth column is a whole number of 1 to `most`.
struct NumberedRegion : GenomeRegion {
  int number = 0;
};
/// Sorted. Errors: input, with the line (fields missing, numbers that cannot be, a sequence that there is not, regions
/// that overlap).
std::vector<NumberedRegion> read_numbered_bed(const std::filesystem::path& path, const std::vector<Contig>& contigs,
                                              int most);

}  // namespace kiban::io
