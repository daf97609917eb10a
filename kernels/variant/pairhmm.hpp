#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/core/stream.hpp"

namespace kiban::variant {

/// Reads, one after another; read r has bases [begin[r], begin[r+1]).
struct Reads {
  std::span<const std::uint8_t> bases;              ///< [base] ASCII; lower case counts as upper, what is not ACGT as N
  std::span<const std::uint8_t> base_quality;       ///< [base] Phred: the base is wrong
  std::span<const std::uint8_t> insertion_quality;  ///< [base] Phred: an insertion opens before it
  std::span<const std::uint8_t> deletion_quality;   ///< [base] Phred: a deletion opens after it
  std::span<const std::uint8_t> gap_quality;        ///< [base] Phred: a gap goes on
  std::span<const std::int64_t> begin;              ///< [reads + 1]
};

/// Haplotypes, one after another; haplotype h has bases [begin[h], begin[h+1]).
struct Haplotypes {
  std::span<const std::uint8_t> bases;  ///< [base] ASCII, as those of reads
  std::span<const std::int64_t> begin;  ///< [haplotypes + 1]
};

/// Every read of a region against every haplotype of that region.
struct PairHmmRegions {
  Reads reads;
  Haplotypes haplotypes;
  std::span<const std::int64_t> reads_begin;  ///< [regions + 1] region g has reads [reads_begin[g], reads_begin[g+1])
  std::span<const std::int64_t> haplotypes_begin;  ///< [regions + 1]
};

/// Sum over the regions of reads times haplotypes. Errors: input (offsets that do not ascend from 0 to the number of
/// what they count; an empty read or haplotype in a region that has both; more than 2^31 - 1 reads, haplotypes, pairs,
/// or bases of one).
std::int64_t pair_count(const PairHmmRegions& regions);

/// Bases of reads times bases of haplotypes, summed over the regions, of offsets that `pair_count` accepts; at most
/// 2^62.
std::int64_t cell_count(const PairHmmRegions& regions);

/// Memory that `pairhmm` takes on the host, with all threads, and on a GPU there in addition. Errors: those of
/// `pair_count`. Cost: one pass over the offsets.
struct PairHmmBytes {
  std::size_t host = 0, device = 0;
};
PairHmmBytes pairhmm_bytes(Device device, const PairHmmRegions& regions);

/// Likelihood of a read given a haplotype, summed over all alignments, by the pair hidden Markov model of GATK:
///   M[i,j] = prior(i,j) (M[i-1,j-1] mm(i) + (I + D)[i-1,j-1] (1 - c(i)))
///   I[i,j] = M[i-1,j] ins(i) + I[i-1,j] c(i)        D[i,j] = M[i,j-1] del(i) + D[i,j-1] c(i)
///   M[0,j] = I[0,j] = 0, D[0,j] = 1 / columns       likelihood = sum over j of (M + I)[rows,j]
/// with ins, del, c = 10^(-quality/10) of the read's base i, mm = 1 - min(1, ins + del), and prior = 1 - e for equal
/// bases or where either is N, else e/3, with e = 10^(-base quality/10).
///   regions       host memory
///   likelihoods   [pair] log10, region by region, a read's haplotypes side by side; host memory. -inf only where the
///                 likelihood is zero
/// Errors: those of `pair_count` · internal (`likelihoods` of another length) · device.
/// Cost: 5 multiply-adds a cell (base of a read x base of a haplotype) in float. Workspace: `pairhmm_bytes`.
/// Synchronous. Exactness: reads of up to 512 bases in float scaled by 2^120, and again in double, on the device, where
/// the scaled result is below 1e-28 or not finite; longer reads in double scaled by 2^1020; where that is below 1e-280,
/// with an exponent for every cell. Within 1e-5 of exact arithmetic up to 512 bases, 1e-9 beyond. The same bits for
/// every batch, thread count and instruction set, on a CPU and on `sim`; a GPU has yet to show it. Source: Poplin et
/// al. 2018, doi:10.1101/201178 (model); Durbin et al., Biological Sequence Analysis, 1998, ch. 4.
void pairhmm(Stream& stream, const PairHmmRegions& regions, std::span<double> likelihoods);

}  // namespace kiban::variant
