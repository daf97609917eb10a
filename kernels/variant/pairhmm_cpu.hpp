#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/variant/pairhmm_backends.hpp"

namespace kiban::variant::cpu {

inline constexpr std::int64_t kMostLanes = 16;

/// As many pairs as a vector has lanes (the last one repeated where there are fewer), one a lane.
struct LaneGroup {
  std::array<std::int32_t, kMostLanes> pairs{};
  std::int32_t count = 0;          ///< pairs that are not repetitions
  bool shares_read = false;        ///< all have the same read, whose rows are then loaded once for all lanes
  std::int64_t shared_codes = -1;  ///< where the group's haplotypes lie, transposed, among those of shared groups
};

/// Haplotypes side by side, that several groups share.
struct LaneHaplotypes {
  std::array<std::int32_t, kMostLanes> haplotypes{};
  std::int64_t columns = 0, begin = 0;  ///< begin: of its codes [column, lane]
};

struct LaneGroups {
  std::vector<LaneGroup> groups;
  std::vector<LaneHaplotypes> haplotypes;
  std::int64_t codes = 0;  ///< elements of all `haplotypes`
};

/// Cuts the pairs whose read has up to `kFloatRows` bases into groups of `lanes`: a read against as many haplotypes of
/// its region as fill whole groups, the longest first; what is left over is packed across reads of about equal length.
LaneGroups lane_groups(const PairHmmProblem& problem, std::int64_t lanes);

/// Double, and with an exponent a cell where that does not suffice, for `pairs`.
void double_sums(Stream& stream, const PairHmmProblem& problem, std::span<const std::int32_t> pairs,
                 std::span<ScaledSum> sums);

}  // namespace kiban::variant::cpu
