#include "kernels/ct/rotation_centre.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <utility>

#include "kernels/core/stream.hpp"
#include "kernels/ct/backproject.hpp"
#include "kernels/ct/filter.hpp"
#include "kernels/ct/parallel_scan.hpp"

namespace kiban::ct {
namespace {

constexpr std::int64_t kLeastViews = 8, kLeastColumns = 8;
constexpr std::size_t kMostViews = 400;  ///< more tell nothing new about one number
constexpr std::size_t kMostPairs = 16;
/// Of the Nyquist frequency, with a Hann window. At full bandwidth the metric follows how interpolation smooths the
/// noise, which repeats with every pixel, and not the object.
constexpr double kCutoff = 0.5;
constexpr std::int64_t kCoarse = 96, kFine = 256;  ///< points across the disc that is reconstructed
constexpr double kTolerance = 0.02;                ///< pixels
/// Shares by which the best trial must lie below the median one: where the object fits the panel, and where it does not
/// and only its details tell. Scans that show either at least lie well above; noise and featureless objects below.
constexpr double kLeastDepth = 0.01, kLeastDepthOfDetails = 0.02;

struct Scan {
  Array<float, 3> line_integrals;  ///< [view,row,column]
  std::vector<double> angles_deg;
  std::int64_t rows() const { return line_integrals.shape()[1]; }
  std::int64_t columns() const { return line_integrals.shape()[2]; }
};

/// Largest gap between neighbouring directions, a ray and its reverse being the same, in degrees.
double largest_gap(std::span<const double> angles_deg) {
  std::vector<double> folded;
  for (const double angle : angles_deg) folded.push_back(angle - 180 * std::floor(angle / 180));
  std::sort(folded.begin(), folded.end());
  double gap = folded.front() + 180 - folded.back();
  for (std::size_t i = 1; i < folded.size(); ++i) gap = std::max(gap, folded[i] - folded[i - 1]);
  return gap;
}

void check(Span<const float, 3> line_integrals, std::span<const double> angles_deg) {
  const auto views = static_cast<std::int64_t>(angles_deg.size());
  if (views != line_integrals.extent(0))
    throw Error(ErrorCode::input,
                fmt::format("the scan has {} views and {} angles; they must agree", line_integrals.extent(0), views));
  if (views < kLeastViews || line_integrals.extent(1) < 1 || line_integrals.extent(2) < kLeastColumns)
    throw Error(
        ErrorCode::input,
        fmt::format("the centre of rotation cannot be found from {} views of {} x {} pixels (rows x columns); give it",
                    views, line_integrals.extent(1), line_integrals.extent(2)));
  if (!std::all_of(angles_deg.begin(), angles_deg.end(), [](double angle) { return std::isfinite(angle); }))
    throw Error(ErrorCode::input, "an angle of the scan is not a finite number");
  const double gap = largest_gap(angles_deg), fair = 4 * 180.0 / static_cast<double>(views);
  if (gap > std::max(fair, 5.0))
    throw Error(
        ErrorCode::input,
        fmt::format(
            "the angles of the scan leave {:.1f} degrees of a half turn without a view; give the centre of rotation",
            gap));
}

/// At most kMostViews of the views, evenly chosen.
Scan thinned(Span<const float, 3> line_integrals, std::span<const double> angles_deg) {
  const std::size_t all = angles_deg.size(), count = std::min(all, kMostViews);
  Scan scan{Array<float, 3>({static_cast<std::int64_t>(count), line_integrals.extent(1), line_integrals.extent(2)}),
            {}};
  const auto from = line_integrals.host();
  const auto to = scan.line_integrals.host();
  const std::int64_t pixels = from.shape[1] * from.shape[2];
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t view = i * all / count;
    scan.angles_deg.push_back(angles_deg[view]);
    std::copy_n(from.data + static_cast<std::int64_t>(view) * pixels, pixels,
                to.data + static_cast<std::int64_t>(i) * pixels);
  }
  return scan;
}

struct Pair {
  std::size_t first, second;
  double miss_deg;  ///< from a half turn
};

/// Views that look at the object from opposite sides, the best matches first.
std::vector<Pair> opposite_pairs(const std::vector<double>& angles_deg) {
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < angles_deg.size(); ++i) {
    Pair best{i, i, 360};
    for (std::size_t j = i + 1; j < angles_deg.size(); ++j) {
      const double miss = std::abs(std::remainder(angles_deg[j] - angles_deg[i] - 180, 360));
      if (miss < best.miss_deg) best = {i, j, miss};
    }
    if (best.second != i) pairs.push_back(best);
  }
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.miss_deg < b.miss_deg; });
  if (pairs.empty()) return pairs;
  // Those that are as good as the best, spread over the scan.
  const double enough = pairs.front().miss_deg + 0.01;
  const auto worse = std::find_if(pairs.begin(), pairs.end(), [&](const Pair& pair) { return pair.miss_deg > enough; });
  const auto good = static_cast<std::size_t>(worse - pairs.begin());
  std::vector<Pair> chosen;
  for (std::size_t i = 0; i < std::min(good, kMostPairs); ++i)
    chosen.push_back(pairs[i * good / std::min(good, kMostPairs)]);
  return chosen;
}

/// Sums for the correlation of a row with the mirror of another.
struct Correlation {
  double count = 0, a = 0, b = 0, aa = 0, bb = 0, ab = 0;
  void add(double x, double y) {
    ++count;
    a += x;
    b += y;
    aa += x * x;
    bb += y * y;
    ab += x * y;
  }
  double covariance() const { return ab - a * b / count; }
  double variances() const { return aa - a * a / count + bb - b * b / count; }
};

/// Mismatch of row a(u) with b(sum - u), over where both have pixels: 0 for mirror images, 1 for strangers.
double mirror_mismatch(const Scan& scan, const std::vector<Pair>& pairs, std::int64_t sum) {
  const auto p = std::as_const(scan.line_integrals).host();
  double covariance = 0, variances = 0;
  for (const Pair& pair : pairs)
    for (std::int64_t row = 0; row < scan.rows(); ++row) {
      const float* a = &p(pair.first, row, 0);
      const float* b = &p(pair.second, row, 0);
      Correlation correlation;
      for (std::int64_t u = std::max<std::int64_t>(0, sum - scan.columns() + 1); u <= std::min(scan.columns() - 1, sum);
           ++u)
        correlation.add(static_cast<double>(a[u]), static_cast<double>(b[sum - u]));
      covariance += correlation.covariance();
      variances += correlation.variances();
    }
  return variances > 0 ? 1 - 2 * covariance / variances : 1;
}

/// The centre at which opposite views mirror each other best, in half pixels' steps, within the middle half of the
/// panel.
double mirror_centre(const Scan& scan) {
  const std::vector<Pair> pairs = opposite_pairs(scan.angles_deg);
  double best = std::numeric_limits<double>::max();
  std::int64_t best_sum = scan.columns() - 1;
  for (std::int64_t sum = (scan.columns() - 1) / 2; sum <= 3 * (scan.columns() - 1) / 2; ++sum) {
    const double mismatch = mirror_mismatch(scan, pairs, sum);
    if (mismatch < best) {
      best = mismatch;
      best_sum = sum;
    }
  }
  if (best == std::numeric_limits<double>::max() || !(best < 1))
    throw Error(ErrorCode::input,
                "no view of the scan mirrors another; if it shows more than air, give the centre of rotation");
  return 0.5 * static_cast<double>(best_sum);
}

/// Whether the object is wider than the panel: at a side there is, on average over the views, more than air.
bool truncated(const Scan& scan) {
  constexpr double kAir = 0.05;  // of the thickest column
  const auto p = std::as_const(scan.line_integrals).host();
  std::vector<double> profile(static_cast<std::size_t>(scan.columns()));
  for (std::int64_t i = 0; i < p.size(); ++i)
    profile[static_cast<std::size_t>(i % scan.columns())] += static_cast<double>(p.data[i]);
  const std::int64_t edge = 1 + scan.columns() / 32;
  const double left = std::accumulate(profile.begin(), profile.begin() + edge, 0.0);
  const double right = std::accumulate(profile.end() - edge, profile.end(), 0.0);
  const double thickest = *std::max_element(profile.begin(), profile.end());
  return std::max(left, right) / static_cast<double>(edge) > kAir * thickest;
}

/// row[u] -= mean of row[u - reach ... u + reach], zero outside.
void subtract_moving_average(float* row, std::int64_t count, std::int64_t reach) {
  std::vector<double> sums{0};
  for (std::int64_t u = 0; u < count; ++u) sums.push_back(sums.back() + static_cast<double>(row[u]));
  for (std::int64_t u = 0; u < count; ++u) {
    const auto begin = static_cast<std::size_t>(std::max<std::int64_t>(u - reach, 0));
    const auto end = static_cast<std::size_t>(std::min(u + reach + 1, count));
    row[u] -= static_cast<float>((sums[end] - sums[begin]) / static_cast<double>(2 * reach + 1));
  }
}

/// What trial reconstructions see: views of one half turn (where both sides of the object are seen, a wrong centre only
/// blurs, and blurring lowers the metric), with `margin` columns on each side that fade to zero, as a filter would make
/// a bright rim of the edge of a truncated object. With `details_only` nothing of the rows that changes slowly.
Scan prepared(const Scan& scan, std::int64_t margin, bool details_only) {
  const double first_deg = *std::min_element(scan.angles_deg.begin(), scan.angles_deg.end());
  std::vector<std::int64_t> chosen;
  for (std::size_t k = 0; k < scan.angles_deg.size(); ++k)
    if (std::fmod(scan.angles_deg[k] - first_deg, 360) < 180) chosen.push_back(static_cast<std::int64_t>(k));
  Scan result{Array<float, 3>({static_cast<std::int64_t>(chosen.size()), scan.rows(), scan.columns() + 2 * margin}),
              {}};
  const auto from = scan.line_integrals.host();
  const auto to = result.line_integrals.host();
  for (std::int64_t k = 0; k < to.shape[0]; ++k) {
    const std::int64_t view = chosen[static_cast<std::size_t>(k)];
    result.angles_deg.push_back(scan.angles_deg[static_cast<std::size_t>(view)]);
    for (std::int64_t row = 0; row < scan.rows(); ++row)
      for (std::int64_t u = 0; u < to.shape[2]; ++u) {
        const std::int64_t inside = std::clamp<std::int64_t>(u - margin, 0, scan.columns() - 1);
        const double out = static_cast<double>(std::abs(u - margin - inside)) / static_cast<double>(margin + 1);
        const double share = 0.5 + 0.5 * std::cos(std::numbers::pi * out);
        to(k, row, u) = static_cast<float>(share * static_cast<double>(from(view, row, inside)));
      }
    for (std::int64_t row = 0; details_only && row < scan.rows(); ++row)
      subtract_moving_average(&to(k, row, 0), to.shape[2], std::max<std::int64_t>(3, scan.columns() / 16));
  }
  return result;
}

/// Reconstructs about trial centres. Rays are parallel, so that views are filtered once and only the matrices change.
class Trials {
 public:
  Trials(const Stream& stream, const Scan& scan, bool details_only)
      : stream_(Device{}, stream.threads()),
        details_only_(details_only),
        margin_(scan.columns() / 2),
        scan_(prepared(scan, margin_, details_only)) {
    const std::int64_t views = scan_.line_integrals.shape()[0];
    Filter filter(stream_, plan_filter(geometry(0), Window::hann, kCutoff));
    for (std::int64_t first = 0; first < views; first += PanelBlock::kViews) {
      blocks_.push_back(PanelBlock::make(stream_, scan_.rows(), scan_.columns(), false));
      const std::int64_t end = std::min(first + PanelBlock::kViews, views);
      filter.run(stream_, scan_.line_integrals.span().slice(first, end), first, 0, blocks_.back());
    }
  }

  /// Donath's Q_IA: the total absolute value in the disc of `radius` pixels about the axis, of n x n points a row. Of
  /// details, whose sum is zero wherever they lie, as a share of what it could be at their mean square: a trial about a
  /// wrong centre has the same spectrum but for its phases, and spreads it.
  double roughness(double centre, double radius, std::int64_t n) {
    const double spacing = 2 * radius / static_cast<double>(n);
    const Grid grid = Grid::centred({n, scan_.rows(), n}, {spacing, 1, spacing});
    Array<float, 3> volume(grid.shape);
    zero(stream_, volume.span());
    const Geometry about = geometry(centre);
    std::vector<ProjectionMatrix> matrices;
    for (std::size_t k = 0; k < about.views.size(); ++k)
      matrices.push_back(voxel_to_panel(about, static_cast<std::int64_t>(k), grid));
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      const auto rest = std::span<const ProjectionMatrix>(matrices).subspan(i * PanelBlock::kViews);
      backproject(stream_, blocks_[i], rest.first(std::min<std::size_t>(rest.size(), PanelBlock::kViews)),
                  Interpolation::exact, volume.span());
    }
    return total_inside(std::as_const(volume).host());
  }

 private:
  Geometry geometry(double centre) const {
    return parallel_scan_geometry({scan_.rows(), scan_.columns(), 1, centre + static_cast<double>(margin_), 1},
                                  scan_.angles_deg);
  }

  double total_inside(ArrayView<const float, 3> volume) const {
    const std::int64_t n = volume.shape[2];
    const double middle = 0.5 * static_cast<double>(n - 1), limit = 0.25 * static_cast<double>(n * n);
    double total = 0, squares = 0, count = 0;
    for (std::int64_t z = 0; z < n; ++z)
      for (std::int64_t x = 0; x < n; ++x) {
        const double dx = static_cast<double>(x) - middle, dz = static_cast<double>(z) - middle;
        if (dx * dx + dz * dz > limit) continue;
        for (std::int64_t y = 0; y < volume.shape[1]; ++y) {
          const auto value = static_cast<double>(volume(z, y, x));
          total += std::abs(value);
          squares += value * value;
          ++count;
        }
      }
    return details_only_ ? total / std::sqrt(count * squares) : total;
  }

  Stream stream_;
  bool details_only_;
  std::int64_t margin_;  ///< columns that scan_ has more on each side
  Scan scan_;
  std::vector<PanelBlock> blocks_;
};

struct Least {
  double at, depth;  ///< and by what share of it the value there lies below the median one
};

/// The best of `first`, `first + step`, ... up to `last`.
template <class Function>
Least scan_for_least(double first, double last, double step, const Function& value) {
  std::vector<double> values;
  for (double x = first; x <= last + 1e-9; x += step) values.push_back(value(x));
  const auto least = std::min_element(values.begin(), values.end());
  const double at = first + step * static_cast<double>(least - values.begin()), found = *least;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return {at, 1 - found / *middle};
}

/// Where a function with one valley in [low, high] is least, to `tolerance`.
template <class Function>
double golden_section(double low, double high, double tolerance, const Function& value) {
  const double ratio = 0.5 * (std::sqrt(5.0) - 1);
  double a = high - ratio * (high - low), b = low + ratio * (high - low);
  double at_a = value(a), at_b = value(b);
  while (high - low > tolerance) {
    if (at_a < at_b) {
      high = b;
      b = a;
      at_b = at_a;
      a = high - ratio * (high - low);
      at_a = value(a);
    } else {
      low = a;
      a = b;
      at_a = at_b;
      b = low + ratio * (high - low);
      at_b = value(b);
    }
  }
  return 0.5 * (low + high);
}

}  // namespace

std::vector<std::int64_t> rotation_centre_rows(std::int64_t rows) {
  constexpr std::int64_t kRows = 4;
  std::vector<std::int64_t> chosen;
  const std::int64_t count = std::min(rows, kRows), span = std::max(rows / 2, count), first = (rows - span) / 2;
  for (std::int64_t i = 0; i < count; ++i) chosen.push_back(first + (2 * i + 1) * span / (2 * count));
  return chosen;
}

double find_rotation_centre(const Stream& stream, Span<const float, 3> line_integrals,
                            std::span<const double> angles_deg) {
  check(line_integrals, angles_deg);
  const Scan scan = thinned(line_integrals, angles_deg);
  const double guess = mirror_centre(scan);
  const bool details_only = truncated(scan);
  Trials trials(stream, scan, details_only);
  const auto columns = static_cast<double>(scan.columns());
  const double step = std::max(1.0, columns / 320), reach = std::max(2.0, columns / 24);
  const double first = std::max(guess - reach, 0.25 * (columns - 1)),
               last = std::min(guess + reach, 0.75 * (columns - 1));
  // The same disc about each trial's axis. What a wrong trial smears out of an object that fits the panel must lie
  // inside too: a sum over less than all of it falls as more of it is lost.
  const double radius = std::min(guess, columns - 1 - guess) + 0.25 * columns;
  const auto coarse = [&](double centre) { return trials.roughness(centre, radius, kCoarse); };
  const auto fine = [&](double centre) { return trials.roughness(centre, radius, kFine); };
  const Least near = scan_for_least(first, last, step, coarse);
  if (!(near.depth > (details_only ? kLeastDepthOfDetails : kLeastDepth)))
    throw Error(ErrorCode::input,
                details_only
                    ? "the object is wider than the panel, and what the panel shows of it has too little detail "
                      "to tell the centre of rotation; give it"
                    : "the scan is too noisy, or shows too little, to tell the centre of rotation; give it");
  return golden_section(near.at - 1.25 * step, near.at + 1.25 * step, kTolerance, fine);
}

}  // namespace kiban::ct
