// Does a batch pay? 16 ct.fdk jobs of one geometry, from memory to memory: one by one, with the plan found in the
// cache, against all together. Both run in turn, so that a machine's moods meet both alike.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <vector>

#include "engine/operations/geometry_port.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/volume_port.hpp"
#include "engine/registry.hpp"
#include "kernels/core/simd.hpp"

namespace kiban::engine {
namespace {

/// Jobs of a cube of n voxels a side from `views` views of panel^2 pixels, each pixel as it appears at the isocentre as
/// large as a voxel, or smaller.
class Jobs {
 public:
  Jobs(std::size_t count, std::int64_t n, std::int64_t panel, std::int64_t views, bool tilted)
      : operation_(registry().find("ct.fdk")) {
    CircularGeometry scan = ct::circular_scan(views, 1000, 1536);
    if (tilted)
      for (CircularView& view : scan) view.in_plane_angle_deg = 1;
    const double pixel = 1.536 * static_cast<double>(n) / static_cast<double>(panel);
    std::mt19937 random(1);
    for (std::size_t i = 0; i < count; ++i) {
      projections_.emplace_back(Shape<3>{views, panel, panel});
      for (std::int64_t k = 0; k < projections_.back().size(); ++k)
        projections_.back().host().data[k] = static_cast<float>(random() % 1000) * 1e-3F;
      auto result = std::make_shared<MemoryResult>();
      volumes_.emplace_back(Shape<3>{n, n, n});
      result->given = volumes_.back().span();
      const MemoryVolume stack{std::as_const(projections_.back()).span(),
                               Grid::centred({views, panel, panel}, {pixel, pixel, 1})};
      Request request;
      request.ports = {{"projections", Binding::memory(stack)},
                       {"geometry", Binding::memory(ScanGeometry(scan))},
                       {"volume", Binding::memory(result)}};
      request.parameters = Values::from_text(operation_.parameters, {{"size", std::to_string(n)}, {"spacing-mm", "1"}});
      requests_.push_back(request);
    }
  }

  /// Seconds from opened jobs to results.
  double one_by_one(Stream& stream) {
    load();
    return timed([&] {
      for (const std::unique_ptr<Work>& work : works_) {
        Progress progress;
        work->run(stream, progress);
        work->store(progress);
      }
    });
  }
  double together(Stream& stream) {
    load();
    std::vector<Work*> works;
    std::vector<Progress> all(works_.size());
    std::vector<Progress*> progress;
    std::vector<std::exception_ptr> failures(works_.size());
    for (std::size_t i = 0; i < works_.size(); ++i) {
      works.push_back(works_[i].get());
      progress.push_back(&all[i]);
    }
    const double seconds = timed([&] {
      operation_.run_together(works, stream, progress, failures);
      for (std::size_t i = 0; i < works_.size(); ++i) works_[i]->store(*progress[i]);
    });
    for (const std::exception_ptr& failure : failures)
      if (failure) std::rethrow_exception(failure);
    return seconds;
  }
  /// All results, taken away.
  std::vector<float> results() {
    std::vector<float> values;
    for (Array<float, 3>& volume : volumes_) {
      values.insert(values.end(), volume.host().data, volume.host().data + volume.size());
      std::fill_n(volume.host().data, volume.size(), -1.F);
    }
    return values;
  }

 private:
  static const Registry& registry() {
    static const Registry all(standard_operations());
    return all;
  }
  void load() {
    works_.clear();
    for (const Request& request : requests_) works_.push_back(operation_.load(request));
  }
  template <class Step>
  static double timed(const Step& step) {
    const auto start = std::chrono::steady_clock::now();
    step();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  const Operation& operation_;
  std::vector<Array<float, 3>> projections_, volumes_;
  std::vector<Request> requests_;
  std::vector<std::unique_ptr<Work>> works_;
};

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

void fdk_batch(benchmark::State& state, bool tilted) {
  Stream stream(Device{}, static_cast<int>(state.range(3)));
  constexpr std::size_t kJobs = 16;
  Jobs jobs(kJobs, state.range(0), state.range(1), state.range(2), tilted);
  jobs.one_by_one(stream);  // fills the cache
  const std::vector<float> alone = jobs.results();
  jobs.together(stream);
  if (jobs.results() != alone) {
    state.SkipWithError("wrong answer: a batch gives other bytes");
    return;
  }
  std::vector<double> apart, shared;
  for (auto _ : state) {
    apart.push_back(jobs.one_by_one(stream));
    shared.push_back(jobs.together(stream));
    state.SetIterationTime(shared.back());
  }
  state.counters["apart_ms"] = 1e3 * median(apart);
  state.counters["together_ms"] = 1e3 * median(shared);
  state.counters["ratio"] = median(apart) / median(shared);
  state.SetLabel(instruction_set());
}

void upright(benchmark::State& state) { fdk_batch(state, false); }
void any_view(benchmark::State& state) { fdk_batch(state, true); }

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"n", "panel", "views", "threads"})->Unit(benchmark::kMillisecond)->UseManualTime();
  for (const std::int64_t threads : {1, 2}) {
    benchmark->Args({32, 32, 32, threads})->Args({64, 64, 64, threads})->Args({64, 96, 64, threads});
    benchmark->Args({128, 128, 128, threads});
  }
}
BENCHMARK(upright)->Apply(sizes);
BENCHMARK(any_view)->Apply(sizes);

}  // namespace
}  // namespace kiban::engine
