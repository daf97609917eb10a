#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace kiban::io {

/// A sequence that positions refer to: a chromosome.
struct Contig {
  std::string name;
  std::int64_t length = 0;  ///< bases; 0 where a header does not say
};

/// Its place in a list, or -1. Cost: linear; for many of many, `contig_places`.
std::int64_t find_contig(const std::vector<Contig>& contigs, const std::string& name);
std::unordered_map<std::string, std::int64_t> contig_places(const std::vector<Contig>& contigs);

/// "; the reference calls it chr20", where a name differs by a leading "chr" only; else the first names there are.
std::string contig_hint(const std::vector<Contig>& contigs, const std::string& name, const std::string& whose);

}  // namespace kiban::io
