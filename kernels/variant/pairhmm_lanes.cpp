#include <algorithm>
#include <numeric>

#include "kernels/variant/pairhmm_cpu.hpp"

namespace kiban::variant::cpu {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// A group of the pairs [first, first + count) of `order`, filled up with the last of them.
LaneGroup group_of(const std::int32_t* first, std::int64_t count, std::int64_t lanes) {
  LaneGroup group;
  group.count = static_cast<std::int32_t>(count);
  for (std::int64_t lane = 0; lane < lanes; ++lane) group.pairs[at(lane)] = first[std::min(lane, count - 1)];
  return group;
}

}  // namespace

LaneGroups lane_groups(const PairHmmProblem& problem, std::int64_t lanes) {
  const PairHmmRegions& regions = problem.regions;
  LaneGroups made;
  std::vector<std::int32_t> left_over, order;
  std::int64_t first_pair = 0;
  for (std::size_t g = 0; g + 1 < regions.reads_begin.size(); ++g) {
    const std::int64_t read = regions.reads_begin[g], reads = regions.reads_begin[g + 1] - read;
    const std::int64_t haplotype = regions.haplotypes_begin[g];
    const std::int64_t haplotypes = regions.haplotypes_begin[g + 1] - haplotype;
    if (reads == 0 || haplotypes == 0) continue;
    const auto length = [&](std::int32_t h) {
      return regions.haplotypes.begin[at(haplotype + h) + 1] - regions.haplotypes.begin[at(haplotype + h)];
    };
    order.resize(at(haplotypes));
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, [&](std::int32_t a, std::int32_t b) { return length(a) > length(b); });
    // A group that is nearly full costs less than packing its pairs with others'.
    const std::int64_t rest = haplotypes % lanes;
    const std::int64_t shared = haplotypes - (rest * 8 >= lanes * 7 ? 0 : rest);
    const auto first_lanes = static_cast<std::int64_t>(made.haplotypes.size());
    for (std::int64_t h = 0; h < shared; h += lanes) {
      LaneHaplotypes side_by_side;
      for (std::int64_t lane = 0; lane < lanes; ++lane)
        side_by_side.haplotypes[at(lane)] =
            static_cast<std::int32_t>(haplotype) + order[at(std::min(h + lane, haplotypes - 1))];
      side_by_side.columns = length(order[at(h)]);
      side_by_side.begin = made.codes;
      made.codes += side_by_side.columns * lanes;
      made.haplotypes.push_back(side_by_side);
    }
    std::vector<std::int32_t> pairs(at(haplotypes));
    for (std::int64_t r = 0; r < reads; ++r, first_pair += haplotypes) {
      for (std::int64_t h = 0; h < haplotypes; ++h) pairs[at(h)] = static_cast<std::int32_t>(first_pair) + order[at(h)];
      if (problem.rows(first_pair) > kFloatRows) continue;
      for (std::int64_t h = 0; h < shared; h += lanes) {
        LaneGroup group = group_of(&pairs[at(h)], std::min(lanes, haplotypes - h), lanes);
        group.shares_read = true;
        group.shared_codes = first_lanes + h / lanes;
        made.groups.push_back(group);
      }
      left_over.insert(left_over.end(), pairs.begin() + std::min(shared, haplotypes), pairs.end());
    }
  }
  std::ranges::stable_sort(left_over, [&](std::int32_t a, std::int32_t b) {
    const std::int64_t rows_a = problem.rows(a), rows_b = problem.rows(b);
    return rows_a != rows_b ? rows_a > rows_b : problem.columns(a) > problem.columns(b);
  });
  const auto count = static_cast<std::int64_t>(left_over.size());
  for (std::int64_t p = 0; p < count; p += lanes)
    made.groups.push_back(group_of(&left_over[at(p)], std::min(lanes, count - p), lanes));
  return made;
}

}  // namespace kiban::variant::cpu
