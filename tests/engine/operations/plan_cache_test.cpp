#include "engine/operations/plan_cache.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <optional>
#include <set>
#include <thread>

#include "engine/operations/reconstruction_key.hpp"
#include "kernels/core/error.hpp"
#include "tests/support/compare.hpp"

namespace kiban::engine {
namespace {

using ct::FilteredBackprojectionOptions;

ct::Geometry small_geometry(const CircularGeometry& scan = ct::circular_scan(6, 400, 800)) {
  return ct::geometry_from_circular(scan, ct::Panel::centred(5, 7, 20, 20));
}
Grid small_grid() { return Grid::centred({4, 5, 6}, {10, 10, 10}); }

/// A plan whose size grows with the rows of its volume.
PlanCache::Plan plan_of(std::int64_t nz) {
  Stream stream;
  return std::make_shared<const ct::FilteredBackprojectionPlan>(
      stream, small_geometry(), Grid::centred({nz, 100, 4}, {10, 10, 10}), FilteredBackprojectionOptions{});
}

double next(double value) { return std::nextafter(value, 1e9); }

/// Everything that a plan depends on, each time with one number changed by as little as a double can.
TEST(ReconstructionKey, TellsApartWhatDiffersInOneNumber) {
  std::set<std::string> keys{reconstruction_key(small_geometry(), small_grid(), {})};
  std::size_t changes = 0;
  const auto changed = [&](const ct::Geometry& geometry, const Grid& grid,
                           const FilteredBackprojectionOptions& options) {
    keys.insert(reconstruction_key(geometry, grid, options));
    EXPECT_EQ(keys.size(), ++changes + 1);
  };
  for (std::size_t view = 0; view < 6; ++view)
    for (std::size_t axis = 0; axis < 3; ++axis)
      for (Vec3 ct::View::*vector : {&ct::View::source, &ct::View::detector, &ct::View::u, &ct::View::v}) {
        ct::Geometry geometry = small_geometry();
        double& number = (geometry.views[view].*vector)[axis];
        number = next(number);
        changed(geometry, small_grid(), {});
      }
  ct::Geometry geometry = small_geometry();
  geometry.views[3].parallel = true;
  changed(geometry, small_grid(), {});
  geometry.views.pop_back();
  changed(geometry, small_grid(), {});
  std::swap(geometry.rows, geometry.columns);
  changed(geometry, small_grid(), {});
  geometry.axis = {0, 0, 1};
  changed(geometry, small_grid(), {});
  for (std::size_t axis = 0; axis < 3; ++axis) {
    Grid grid = small_grid();
    ++grid.shape[axis];
    changed(small_geometry(), grid, {});
    grid = small_grid();
    grid.spacing[axis] = next(grid.spacing[axis]);
    changed(small_geometry(), grid, {});
    grid = small_grid();
    grid.origin[axis] = next(grid.origin[axis]);
    changed(small_geometry(), grid, {});
    for (std::size_t other = 0; other < 3; ++other) {
      grid = small_grid();
      grid.direction[axis][other] = next(grid.direction[axis][other]);
      changed(small_geometry(), grid, {});
    }
  }
  changed(small_geometry(), small_grid(), {.window = ct::Window::hann});
  changed(small_geometry(), small_grid(), {.cutoff = 0.5});
  changed(small_geometry(), small_grid(), {.mask_field_of_view = false});
  changed(small_geometry(), small_grid(), {.mu_water_per_mm = 0.02});
  changed(small_geometry(), small_grid(), {.interpolation = ct::Interpolation::texture});
  EXPECT_EQ(reconstruction_key(small_geometry(), small_grid(), {}),
            reconstruction_key(small_geometry(), small_grid(), {}));
}

TEST(PlanCache, GivesAPlanOnceMadeAgain) {
  PlanCache cache(1 << 20);
  const auto plan = plan_of(1);
  EXPECT_EQ(cache.find_or_make("a", [&] { return plan; }), plan);
  EXPECT_EQ(cache.find_or_make("a", []() -> PlanCache::Plan { throw Error(ErrorCode::internal, "made again"); }), plan);
  const auto other = plan_of(1);
  EXPECT_EQ(cache.find_or_make("b", [&] { return other; }), other);
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.bytes(), plan->bytes() + other->bytes());
}

TEST(PlanCache, IsBoundedAndDropsWhatWasUsedLeastLately) {
  const auto plan = plan_of(10);
  PlanCache cache(2 * plan->bytes());
  const auto make = [&] { return plan; };
  const auto absent = [&](const std::string& key) {
    bool made = false;
    cache.find_or_make(key, [&] {
      made = true;
      return plan;
    });
    return made;
  };
  cache.find_or_make("a", make);
  cache.find_or_make("b", make);
  EXPECT_FALSE(absent("a"));  // now b is the one that was used least lately
  cache.find_or_make("c", make);
  EXPECT_FALSE(absent("a"));
  EXPECT_FALSE(absent("c"));
  EXPECT_LE(cache.bytes(), 2 * plan->bytes());
  EXPECT_TRUE(absent("b"));
  const auto large = plan_of(30);
  ASSERT_GT(large->bytes(), 2 * plan->bytes());
  EXPECT_EQ(cache.find_or_make("large", [&] { return large; }), large);
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.bytes(), 2 * plan->bytes());
}

TEST(PlanCache, KeepsNothingOfWhatFailed) {
  PlanCache cache(1 << 20);
  EXPECT_THROW(cache.find_or_make("a", []() -> PlanCache::Plan { throw Error(ErrorCode::input, "bad"); }), Error);
  EXPECT_EQ(cache.size(), 0U);
  const auto plan = plan_of(1);
  EXPECT_EQ(cache.find_or_make("a", [&] { return plan; }), plan);
}

TEST(PlanCache, ServesManyThreads) {
  std::vector<PlanCache::Plan> plans;
  for (std::int64_t i = 0; i < 8; ++i) plans.push_back(plan_of(i + 1));
  PlanCache cache(plans[7]->bytes() + plans[6]->bytes());  // some are dropped all the time
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (std::size_t thread = 0; thread < 4; ++thread)
    threads.emplace_back([&, thread] {
      for (std::size_t i = 0; i < 2000; ++i) {
        const std::size_t which = (i * (thread + 3) + i / 7) % plans.size();
        wrong += cache.find_or_make(std::to_string(which), [&] { return plans[which]; }) != plans[which];
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(cache.bytes(), plans[7]->bytes() + plans[6]->bytes());
}

/// The process's own cache: two geometries that differ in one number, in turn, give what each gives without a cache.
TEST(SharedPlan, DoesNotMixGeometriesThatDifferInOneNumber) {
  CircularGeometry scan = ct::circular_scan(6, 400, 800);
  std::vector<ct::Geometry> geometries{small_geometry(scan)};
  scan[2].gantry_angle_deg += 0.5;
  geometries.push_back(small_geometry(scan));
  const std::vector<float> projections = test::uniform(6 * 5 * 7, 1);
  for (const Device device : test::devices_under_test()) {
    Stream stream(device, 2);
    const auto result = [&](const ct::Geometry& geometry, const PlanCache::Plan& plan) {
      Array<float, 3> volume(small_grid().shape, device);
      const Span<float, 3> span = volume.span();
      std::optional<ct::FilteredBackprojection> fbp;
      if (plan)
        fbp.emplace(stream, plan, std::span(&span, 1));
      else
        fbp.emplace(stream, geometry, small_grid(), FilteredBackprojectionOptions{}, span);
      fbp->add(Span<const float, 3>(projections.data(), {6, 5, 7}));
      fbp->finish();
      return test::to_host(stream, volume);
    };
    for (const std::size_t which : {0, 1, 0, 1}) {
      const auto plan = shared_plan(stream, geometries[which], small_grid(), {});
      EXPECT_EQ(plan->device(), device);
      EXPECT_EQ(plan, shared_plan(stream, geometries[which], small_grid(), {}));
      EXPECT_EQ(result(geometries[which], plan), result(geometries[which], nullptr)) << name(device);
    }
    EXPECT_NE(result(geometries[0], nullptr), result(geometries[1], nullptr));
  }
}

}  // namespace
}  // namespace kiban::engine
