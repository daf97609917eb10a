#include "kernels/ct/backproject.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "benchmarks/peers/column_gather.hpp"
#include "kernels/core/simd.hpp"

namespace kiban::ct {
namespace {

/// One block of 32 views over 200 degrees, SID 750, SDD 1200, a cube of 256 mm, and a square panel just wide enough
/// that every voxel falls on it in every view: all updates are real ones.
struct Scan {
  Grid grid;
  PanelBlock block;
  std::vector<ProjectionMatrix> matrices;
  std::int64_t outside = 0;  ///< corners of the volume that miss the panel: none, or the count of updates is a lie
};

/// Largest distance from the panel's centre, in pixels, of the volume's corners in any view, and their number off the
/// panel.
struct Reach {
  double pixels = 0;
  std::int64_t outside = 0;
};

Reach reach(const std::vector<ProjectionMatrix>& matrices, std::int64_t n, std::int64_t panel) {
  Reach found;
  const auto last = static_cast<double>(n - 1), middle = 0.5 * static_cast<double>(panel - 1);
  for (const ProjectionMatrix& matrix : matrices)
    for (int corner = 0; corner < 8; ++corner) {
      const PanelPoint p = matrix(corner & 1 ? last : 0, corner & 2 ? last : 0, corner & 4 ? last : 0);
      const double far = std::max(std::abs(p.u - middle), std::abs(p.v - middle));
      found.pixels = std::max(found.pixels, far);
      found.outside += far > middle;
    }
  return found;
}

Scan make_scan(Stream& stream, std::int64_t n, std::int64_t panel, bool tilted) {
  Scan scan;
  const double voxel = 256.0 / static_cast<double>(n);
  scan.grid = Grid::centred({n, n, n}, {voxel, voxel, voxel});
  CircularGeometry circular = circular_scan(PanelBlock::kViews, 750, 1200, 200);
  if (tilted)
    for (CircularView& view : circular) view.in_plane_angle_deg = 1;
  double pixel = 1;
  for (int pass = 0; pass < 2; ++pass) {  // a panel of 1 mm pixels tells how large they must be
    const Geometry geometry = geometry_from_circular(circular, Panel::centred(panel, panel, pixel, pixel));
    scan.matrices.clear();
    for (std::int64_t k = 0; k < PanelBlock::kViews; ++k)
      scan.matrices.push_back(voxel_to_panel(geometry, k, scan.grid));
    const Reach found = reach(scan.matrices, n, panel);
    scan.outside = found.outside;
    pixel *= found.pixels / (0.5 * static_cast<double>(panel - 1)) * (1 + 1e-9);
  }
  scan.block = PanelBlock::make(stream, panel, panel, wants_columns(stream.device(), scan.matrices, scan.grid.shape));
  std::mt19937 random(1);
  float* pixels = scan.block.pixels.host().data;
  for (std::int64_t k = 0; k < PanelBlock::kViews; ++k)
    for (std::int64_t line = 0; line < panel; ++line)
      for (std::int64_t i = 0; i < panel; ++i)
        pixels[scan.block.first_pixel(k) + line * scan.block.pitch() + i] = static_cast<float>(random() % 1000) * 1e-3F;
  return scan;
}

/// One voxel in double, from the pixels alone.
double voxel_in_double(const Scan& scan, std::int64_t x, std::int64_t y, std::int64_t z) {
  const float* pixels = scan.block.pixels.host().data;
  double sum = 0;
  for (std::int64_t k = 0; k < PanelBlock::kViews; ++k) {
    const PanelPoint p = scan.matrices[static_cast<std::size_t>(k)](static_cast<double>(x), static_cast<double>(y),
                                                                    static_cast<double>(z));
    const double u0 = std::floor(p.u), v0 = std::floor(p.v);
    for (const int du : {0, 1})
      for (const int dv : {0, 1}) {
        const auto u = static_cast<std::int64_t>(u0) + du, v = static_cast<std::int64_t>(v0) + dv;
        if (u < 0 || v < 0 || u >= scan.block.columns || v >= scan.block.rows) continue;
        const std::int64_t at = scan.block.columns_contiguous ? u * scan.block.pitch() + v : v * scan.block.pitch() + u;
        const double weight = (du ? p.u - u0 : 1 - p.u + u0) * (dv ? p.v - v0 : 1 - p.v + v0);
        sum += weight / (p.w * p.w) * static_cast<double>(pixels[scan.block.first_pixel(k) + at]);
      }
  }
  return sum;
}

/// Relative L2 over a thousand voxels, `value(x, y, z)` being the volume.
template <class Value>
double error_of(const Scan& scan, std::int64_t n, const Value& value) {
  std::mt19937_64 random(7);
  double square = 0, reference = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto any = [&] { return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n)); };
    const std::int64_t x = any(), y = any(), z = any();
    const double truth = voxel_in_double(scan, x, y, z);
    square += std::pow(value(x, y, z) - truth, 2);
    reference += truth * truth;
  }
  return std::sqrt(square / reference);
}

void report(benchmark::State& state, const Scan& scan, double error, double limit) {
  if (scan.outside != 0) state.SkipWithError("some updates fall outside the panel");
  if (!(error <= limit)) state.SkipWithError("wrong answer");
  const double updates = static_cast<double>(PanelBlock::kViews) * std::pow(static_cast<double>(state.range(0)), 3);
  state.counters["updates/ns"] = benchmark::Counter(updates * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["relative_L2"] = error;
  state.SetLabel(instruction_set());
}

void backproject_views(benchmark::State& state, bool tilted) {
  const std::int64_t n = state.range(0);
  Stream stream(Device{}, static_cast<int>(state.range(2)));
  const Scan scan = make_scan(stream, n, state.range(1), tilted);
  Array<float, 3> volume(scan.grid.shape);
  for (auto _ : state) {
    state.PauseTiming();
    zero(stream, volume.span());
    state.ResumeTiming();
    backproject(stream, scan.block, scan.matrices, Interpolation::exact, volume.span());
  }
  const auto view = volume.host();
  report(state, scan, error_of(scan, n, [&](auto x, auto y, auto z) { return static_cast<double>(view(z, y, x)); }),
         1e-5);
}

void fast(benchmark::State& state) { backproject_views(state, false); }
void any_view(benchmark::State& state) { backproject_views(state, true); }

#if defined(__x86_64__)
void column_gather_peer(benchmark::State& state) {
  const std::int64_t n = state.range(0);
  Stream stream(Device{}, 1);
  const Scan scan = make_scan(stream, n, state.range(1), false);
  std::vector<float> volume(static_cast<std::size_t>(n * n * n));
  for (auto _ : state) {
    state.PauseTiming();
    std::fill(volume.begin(), volume.end(), 0.F);
    state.ResumeTiming();
    if (!column_gather::backproject(scan.block, scan.matrices, n, volume.data())) {
      state.SkipWithError("no gathers on this machine");
      return;
    }
  }
  // Its positions are floats that are added up, so it is allowed more.
  report(state, scan,
         error_of(scan, n,
                  [&](auto x, auto y, auto z) {
                    return static_cast<double>(volume[static_cast<std::size_t>((x * n + z) * n + y)]);
                  }),
         1e-3);
}
BENCHMARK(column_gather_peer)
    ->ArgNames({"n", "panel", "threads"})
    ->Args({256, 512, 1})
    ->Args({512, 1024, 1})
    ->Unit(benchmark::kMillisecond);
#endif

// One core by the processor's clock: the bar of the project (512, 1024), and time against size with a panel of n^2.
BENCHMARK(fast)
    ->ArgNames({"n", "panel", "threads"})
    ->Args({128, 128, 1})
    ->Args({256, 256, 1})
    ->Args({512, 512, 1})
    ->Args({256, 512, 1})
    ->Args({512, 1024, 1})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(any_view)
    ->ArgNames({"n", "panel", "threads"})
    ->Args({256, 512, 1})
    ->Args({512, 1024, 1})
    ->Unit(benchmark::kMillisecond);
// Two threads against one by the clock on the wall.
BENCHMARK(fast)
    ->Name("fast_wall")
    ->ArgNames({"n", "panel", "threads"})
    ->Args({512, 1024, 1})
    ->Args({512, 1024, 2})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace kiban::ct
