#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

/// Naive twins of kernels/variant: the formula as it stands, in long double.
namespace kiban::reference {

/// A read with the qualities of each of its bases.
struct Read {
  std::string bases;
  std::vector<std::uint8_t> base_quality, insertion_quality, deletion_quality, gap_quality;
};

/// log10 of the likelihood of a read given a haplotype, see kernels/variant/pairhmm.hpp. In logarithms where a long
/// double (10^-4932) does not reach.
double pairhmm(const Read& read, const std::string& haplotype);

}  // namespace kiban::reference
