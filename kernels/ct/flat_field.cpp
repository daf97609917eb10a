#include "kernels/ct/flat_field.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "kernels/ct/flat_field_backends.hpp"

namespace kiban::ct {
namespace {

/// Mean over frames of [frame,row,column], as [row * columns + column].
std::vector<double> mean_frame(Span<const float, 3> frames, const char* what) {
  const auto view = frames.host();
  const std::int64_t pixels = view.shape[1] * view.shape[2];
  std::vector<double> mean(static_cast<std::size_t>(pixels), 0.0);
  for (std::int64_t frame = 0; frame < view.shape[0]; ++frame)
    for (std::int64_t i = 0; i < pixels; ++i)
      mean[static_cast<std::size_t>(i)] += static_cast<double>(view.data[frame * pixels + i]);
  for (std::int64_t i = 0; i < pixels; ++i) {
    double& value = mean[static_cast<std::size_t>(i)];
    value /= static_cast<double>(view.shape[0]);
    if (!std::isfinite(value))
      throw Error(ErrorCode::input, fmt::format("a {} frame is not finite at row {}, column {}; replace the frame",
                                                what, i / view.shape[2], i % view.shape[2]));
  }
  return mean;
}

/// Where each pixel's row is dead, the row to read in its place: the nearest with a live pixel.
std::vector<std::int64_t> nearest_live_rows(ArrayView<const float, 2> gain) {
  const std::int64_t rows = gain.shape[0], columns = gain.shape[1];
  std::vector<std::int64_t> live;
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = 0; column < columns; ++column)
      if (gain(row, column) > 0) {
        live.push_back(row);
        break;
      }
  std::vector<std::int64_t> nearest(static_cast<std::size_t>(rows));
  std::size_t next = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    while (next + 1 < live.size() && std::abs(live[next + 1] - row) < std::abs(live[next] - row)) ++next;
    nearest[static_cast<std::size_t>(row)] = live[next];
  }
  return nearest;
}

std::vector<FlatFieldPlan::Bridge> build_bridges(ArrayView<const float, 2> gain) {
  const std::int64_t rows = gain.shape[0], columns = gain.shape[1];
  const std::vector<std::int64_t> source_row = nearest_live_rows(gain);
  std::vector<FlatFieldPlan::Bridge> bridges;
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = 0; column < columns; ++column) {
      if (gain(row, column) > 0) continue;
      const std::int64_t from = source_row[static_cast<std::size_t>(row)];
      std::int64_t left = column, right = column;
      while (left >= 0 && !(gain(from, left) > 0)) --left;
      while (right < columns && !(gain(from, right) > 0)) ++right;
      if (left < 0) left = right;
      if (right == columns) right = left;
      const double weight =
          left == right ? 0.0 : static_cast<double>(column - left) / static_cast<double>(right - left);
      bridges.push_back(
          {row * columns + column, from * columns + left, from * columns + right, static_cast<float>(weight)});
    }
  return bridges;
}

template <class T, int N>
Array<T, N> moved(Stream& stream, Span<const T, N> host) {
  Array<T, N> array(host.shape(), stream.device());
  copy(stream, host, array.span());
  return array;
}

}  // namespace

FlatFieldPlan plan_flat_field(Span<const float, 3> flats, Span<const float, 3> darks) {
  if (flats.size() == 0)
    throw Error(ErrorCode::input, "the scan has no flat frame; without one there is no transmission");
  const bool dark_given = darks.size() != 0;
  if (dark_given && (darks.extent(1) != flats.extent(1) || darks.extent(2) != flats.extent(2)))
    throw Error(ErrorCode::input,
                fmt::format("the flat frames are {} x {} (rows x columns), the dark ones {} x {}; they must agree",
                            flats.extent(1), flats.extent(2), darks.extent(1), darks.extent(2)));
  const Shape<2> panel{flats.extent(1), flats.extent(2)};
  const std::vector<double> flat = mean_frame(flats, "flat");
  const std::vector<double> dark = dark_given ? mean_frame(darks, "dark") : std::vector<double>(flat.size(), 0.0);
  FlatFieldPlan plan{Array<float, 2>(panel), Array<float, 2>(panel), {}};
  std::int64_t dead = 0;
  for (std::size_t i = 0; i < flat.size(); ++i) {
    const double range = flat[i] - dark[i];
    plan.dark.host().data[i] = static_cast<float>(dark[i]);
    // A gain beyond a float would make infinities of counts: such a pixel sees nothing either.
    const bool alive = range > 0 && 1 / range <= static_cast<double>(std::numeric_limits<float>::max());
    plan.gain.host().data[i] = alive ? static_cast<float>(1 / range) : 0.0f;
    dead += !alive;
  }
  if (2 * dead > static_cast<std::int64_t>(flat.size()))
    throw Error(
        ErrorCode::input,
        fmt::format(
            "{} of {} detector pixels have a flat that is not above the dark; check that flat and dark frames are not "
            "swapped",
            dead, flat.size()));
  if (dead > 0) plan.bridges = build_bridges(std::as_const(plan.gain).host());
  return plan;
}

FlatField::FlatField(Stream& stream, const FlatFieldPlan& plan)
    : dark_(moved(stream, plan.dark.span())),
      gain_(moved(stream, plan.gain.span())),
      bridges_(moved(stream, Span<const FlatFieldPlan::Bridge, 1>(plan.bridges.data(),
                                                                  {static_cast<std::int64_t>(plan.bridges.size())}))) {
  stream.synchronize();  // the plan may go away
}

void FlatField::run(Stream& stream, Span<const float, 3> counts, Span<float, 3> line_integrals) const {
  if (counts.shape() != line_integrals.shape() || counts.extent(1) != dark_.shape()[0] ||
      counts.extent(2) != dark_.shape()[1])
    throw Error(ErrorCode::internal, "the projections do not have the shape of the flat field");
  if (counts.size() == 0) return;
  KIBAN_BACKEND_FOR(stream, correct_flat_field)
  (stream, dark_.span(), gain_.span(), bridges_.span(), counts, line_integrals);
}

}  // namespace kiban::ct
