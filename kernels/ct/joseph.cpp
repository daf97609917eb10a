#include "kernels/ct/joseph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ct/joseph_backends.hpp"

namespace kiban::ct {
namespace {

/// Rays in the faces of the box count whichever way they are rounded.
constexpr double kFaceTolerance = 1e-6;
constexpr float kFarAway = 1e9f;

JosephGrid joseph_grid(const Grid& grid) {
  JosephGrid result{{grid.nx(), grid.ny(), grid.nz()}, {1, grid.nx(), grid.nx() * grid.ny()}, {}, {}};
  for (int a = 0; a < 3; ++a) {
    const double beyond = result.extent[a] == 1 ? 0.5 : kFaceTolerance;
    result.low[a] = -beyond;
    result.high[a] = static_cast<double>(result.extent[a] - 1) + beyond;
  }
  return result;
}

/// World mm -> index, for directions. Errors: input (the grid's steps lie in a plane).
Mat3 index_from_world(const Grid& grid) {
  const Vec3 x = grid.step(0), y = grid.step(1), z = grid.step(2);
  const double volume = dot(x, cross(y, z));
  if (!(std::abs(volume) > 1e-9 * norm(x) * norm(y) * norm(z)) || !std::isfinite(volume) ||
      !std::isfinite(norm(grid.origin)))
    throw Error(ErrorCode::input,
                "the volume's spacing and direction do not span three dimensions, or are not finite; check its header");
  return {(1 / volume) * cross(y, z), (1 / volume) * cross(z, x), (1 / volume) * cross(x, y)};
}

JosephView joseph_view(const Geometry& geometry, std::int64_t index, const Grid& grid, const Mat3& to_index) {
  const View& view = geometry.views[static_cast<std::size_t>(index)];
  const Vec3 pixel00 = view.detector - 0.5 * static_cast<double>(geometry.columns - 1) * view.u -
                       0.5 * static_cast<double>(geometry.rows - 1) * view.v;
  Vec3 point[3] = {view.source - grid.origin, {}, {}}, direction[3] = {pixel00 - view.source, view.u, view.v};
  JosephView result{};
  result.high = 1;
  if (view.parallel) {
    point[0] = pixel00 - grid.origin;
    point[1] = view.u;
    point[2] = view.v;
    direction[0] = view.source;
    direction[1] = direction[2] = {};
    result.low = -std::numeric_limits<double>::max();
    result.high = std::numeric_limits<double>::max();
  }
  for (std::size_t part = 0; part < 3; ++part) {
    const Vec3 p = to_index * point[part], d = to_index * direction[part];
    for (std::size_t a = 0; a < 3; ++a) {
      result.point[a][part] = p[a];
      result.direction[a][part] = d[a];
      result.direction_mm[a][part] = direction[part][a];
    }
  }
  for (int a = 0; a < 3; ++a) result.source[a] = view.parallel ? kFarAway : static_cast<float>(result.point[a][0]);
  const ProjectionMatrix matrix = voxel_to_panel(geometry, index, grid);
  for (int row = 0; row < 3; ++row)
    for (int column = 0; column < 4; ++column) result.panel[row][column] = static_cast<float>(matrix.m[row][column]);
  return result;
}

/// Calls work(views of the block, first and last + 1 among the n projections, table) for blocks of views.
template <class Work>
void for_blocks_of_views(Stream& stream, const Grid& grid, const Geometry& geometry, std::int64_t first,
                         std::int64_t count, const Work& work) {
  const Mat3 to_index = index_from_world(grid);
  const JosephGrid box = joseph_grid(grid);
  Array<float, 4> rays(
      {std::min(kJosephViews, count), JosephField::count, geometry.rows, geometry.columns + kJosephRowPadding},
      stream.device());
  for (std::int64_t begin = 0; begin < count; begin += kJosephViews) {
    const std::int64_t end = std::min(begin + kJosephViews, count);
    std::vector<JosephView> views;
    for (std::int64_t k = begin; k < end; ++k) views.push_back(joseph_view(geometry, first + k, grid, to_index));
    const Span<float, 4> table = rays.span().slice(0, end - begin);
    KIBAN_BACKEND_FOR(stream, joseph_trace)(stream, views, box, geometry.columns, table);
    work(views, box, begin, end, table);
  }
  stream.synchronize();
}

void check_shapes(Span<const float, 3> volume, const Grid& grid, Span<const float, 3> projections,
                  const Geometry& geometry, std::int64_t first) {
  if (volume.shape() != grid.shape) throw Error(ErrorCode::internal, "the volume does not have the shape of its grid");
  if (projections.extent(1) != geometry.rows || projections.extent(2) != geometry.columns || first < 0 ||
      first + projections.extent(0) > static_cast<std::int64_t>(geometry.views.size()))
    throw Error(ErrorCode::internal, "the projections do not have the shape of the geometry");
  // Slices and pixels are counted in 32 bits.
  constexpr std::int64_t kLongest = std::numeric_limits<std::int32_t>::max();
  for (const std::int64_t side : {grid.nx(), grid.ny(), grid.nz(), geometry.rows, geometry.columns})
    if (side > kLongest)
      throw Error(ErrorCode::input,
                  fmt::format("a side of the volume or of the panel has {} voxels or pixels, and at most {} can be "
                              "counted; take a smaller one",
                              side, kLongest));
}

}  // namespace

void joseph_project(Stream& stream, Span<const float, 3> volume, const Grid& grid, const Geometry& geometry,
                    std::int64_t first, Span<float, 3> projections) {
  check_shapes(volume, grid, projections, geometry, first);
  if (projections.size() == 0) return;
  if (volume.size() == 0) {
    zero(stream, projections);
    return stream.synchronize();
  }
  for_blocks_of_views(stream, grid, geometry, first, projections.extent(0),
                      [&](const auto&, const JosephGrid& box, std::int64_t begin, std::int64_t end, auto rays) {
                        KIBAN_BACKEND_FOR(stream, joseph_march)
                        (stream, box, rays, volume, projections.slice(begin, end));
                      });
}

void joseph_backproject(Stream& stream, Span<const float, 3> projections, const Geometry& geometry, std::int64_t first,
                        const Grid& grid, Span<float, 3> volume) {
  check_shapes(volume, grid, projections, geometry, first);
  if (projections.size() == 0 || volume.size() == 0) return;
  for_blocks_of_views(stream, grid, geometry, first, projections.extent(0),
                      [&](const std::vector<JosephView>& views, const JosephGrid& box, std::int64_t begin,
                          std::int64_t end, auto rays) {
                        KIBAN_BACKEND_FOR(stream, joseph_gather)
                        (stream, views, box, rays, projections.slice(begin, end), volume);
                      });
}

}  // namespace kiban::ct
