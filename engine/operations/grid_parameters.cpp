#include "engine/operations/grid_parameters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

constexpr double kMostVoxels = 1 << 20;  ///< along an axis

/// World axis (0 = x of LPS) and direction that a letter names; axis -1: none.
struct Heading {
  int axis, sign;
};
Heading heading(char letter) {
  switch (letter) {
    case 'L':
      return {0, 1};
    case 'R':
      return {0, -1};
    case 'P':
      return {1, 1};
    case 'A':
      return {1, -1};
    case 'S':
      return {2, 1};
    case 'I':
      return {2, -1};
    default:
      return {-1, 0};
  }
}

/// As many voxels of another size, about the same centre.
Grid about_centre(const Grid& from, const Shape<3>& shape, const Vec3& spacing) {
  const auto middle = [](const Shape<3>& of) {
    return Vec3{0.5 * static_cast<double>(of[2] - 1), 0.5 * static_cast<double>(of[1] - 1),
                0.5 * static_cast<double>(of[0] - 1)};
  };
  Grid grid{shape, spacing, {0, 0, 0}, from.direction};
  grid.origin = from.world(middle(from.shape)) - grid.world(middle(shape));
  return grid;
}

std::int64_t voxels_over(double extent, double spacing) {
  const double count = std::max(1.0, std::round(extent / spacing));
  if (count > kMostVoxels)
    throw Error(ErrorCode::usage, fmt::format("spacing-mm is {} mm, which needs {:.0f} voxels over {:.1f} mm; give a "
                                              "spacing that needs at most {:.0f}",
                                              spacing, count, extent, kMostVoxels));
  return static_cast<std::int64_t>(count);
}

Grid cut(const Grid& from, const Values& values) {
  if (values.has("spacing-mm"))
    throw Error(ErrorCode::usage, "start and spacing-mm contradict each other; cut first and resample then");
  const Integers3 start = values.integers3("start");
  Grid grid = from;
  Vec3 index;
  for (std::size_t a = 0; a < 3; ++a) {
    index[a] = static_cast<double>(start[a]);
    grid.shape[2 - a] = values.has("size") ? values.integers3("size")[a] : from.shape[2 - a] - start[a];
    if (grid.shape[2 - a] < 1)
      throw Error(ErrorCode::usage, fmt::format("start leaves no voxel along axis {}; give a smaller one", a));
  }
  grid.origin = from.world(index);
  return grid;
}

Grid grid_like(const Request& request, std::optional<bool> placed) {
  for (const char* name : {"spacing-mm", "size", "start", "orientation"})
    if (request.parameters.given(name))
      throw Error(ErrorCode::usage, fmt::format("{} and like contradict each other; give one of them", name));
  const VoxelSource like(request, "like", VoxelUse::values);
  if (placed && like.placed() != *placed)
    throw Error(ErrorCode::usage,
                fmt::format("{} {} where its voxels lie and the other volume {}; give both spacing and origin",
                            like.name(), like.placed() ? "says" : "does not say", *placed ? "does" : "does not"));
  return like.grid();
}

}  // namespace

Grid oriented(const Grid& grid, const std::string& orientation) {
  Heading headings[3];
  bool seen[3] = {};
  for (std::size_t c = 0; c < 3; ++c) {
    headings[c] = orientation.size() == 3 ? heading(orientation[c]) : Heading{-1, 0};
    if (headings[c].axis < 0 || seen[headings[c].axis])
      throw Error(ErrorCode::usage,
                  fmt::format("orientation is {}; give one letter each of R or L, A or P, S or I, as in LPS: where "
                              "indices along x, y, z grow to",
                              orientation));
    seen[headings[c].axis] = true;
  }
  std::array<std::size_t, 3> axis{0, 1, 2}, best = axis;
  double largest = -1;
  do {
    double sum = 0;
    for (std::size_t c = 0; c < 3; ++c)
      sum += std::abs(grid.direction[static_cast<std::size_t>(headings[c].axis)][axis[c]]);
    if (sum > largest) {
      largest = sum;
      best = axis;
    }
  } while (std::ranges::next_permutation(axis).found);
  Grid made = grid;
  Vec3 first{};
  for (std::size_t c = 0; c < 3; ++c) {
    const std::size_t from = best[c];
    made.shape[2 - c] = grid.shape[2 - from];
    made.spacing[c] = grid.spacing[from];
    const bool is_turned = grid.direction[static_cast<std::size_t>(headings[c].axis)][from] * headings[c].sign < 0;
    if (is_turned) first[from] = static_cast<double>(grid.shape[2 - from] - 1);
    for (std::size_t row = 0; row < 3; ++row)
      made.direction[row][c] = is_turned ? -grid.direction[row][from] : grid.direction[row][from];
  }
  made.origin = grid.world(first);
  return made;
}

Grid requested_grid(const Request& request, const Grid& from, std::optional<bool> placed) {
  if (request.uses("like")) return grid_like(request, placed);
  const Values& values = request.parameters;
  const Grid base = values.has("orientation") ? oriented(from, values.text("orientation")) : from;
  if (values.has("start")) return cut(base, values);
  Shape<3> shape = base.shape;
  Vec3 spacing = base.spacing;
  for (std::size_t a = 0; a < 3; ++a) {
    const double extent = base.spacing[a] * static_cast<double>(base.shape[2 - a]);
    if (values.has("spacing-mm")) spacing[a] = values.reals3("spacing-mm")[a];
    if (values.has("size"))
      shape[2 - a] = values.integers3("size")[a];
    else if (values.has("spacing-mm"))
      shape[2 - a] = voxels_over(extent, spacing[a]);
    if (values.has("size") && !values.has("spacing-mm")) spacing[a] = extent / static_cast<double>(shape[2 - a]);
  }
  return about_centre(base, shape, spacing);
}

std::vector<Port> grid_ports() {
  return {{"like", PortDirection::in, PortKind::image, false,
           "A volume whose grid the result takes, instead of the parameters below"}};
}

std::vector<Parameter> grid_parameters() {
  return {
      Parameter::reals3("spacing-mm", "mm", "Between voxel centres of the result along x, y, z")
          .above(0)
          .or_else("as it is, or what size asks for"),
      Parameter::integers3("size", "", "Voxels of the result along x, y, z")
          .at_least(1)
          .at_most(kMostVoxels)
          .or_else("as many as cover the volume"),
      Parameter::integers3("start", "",
                           "Cut or pad: the voxel of the volume that the result begins with, along x, y, z")
          .at_least(-kMostVoxels)
          .at_most(kMostVoxels)
          .or_else("the volume's centre is the result's"),
      Parameter::text("orientation",
                      "Where indices along x, y, z grow to: one letter each of R or L, A or P, S or I, as in LPS")
          .or_else("as it is"),
  };
}

}  // namespace kiban::engine
