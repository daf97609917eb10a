#include "kernels/skeleton/affine.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>

namespace kiban::skeleton {
namespace {

/// An n x n x n volume on the CPU. The line is y = -x, so that any even number of calls gives the volume back.
void affine_cpu(benchmark::State& state) {
  const std::int64_t n = state.range(0);
  Stream stream(Device{}, static_cast<int>(state.range(1)));
  Array<float, 3> values({n, n, n});
  const auto view = values.host();
  std::fill_n(view.data, view.size(), 2.0F);
  float expected = 2;
  for (auto _ : state) {
    affine(stream, -1, 0, values.span());
    expected = -expected;
  }
  if (std::count(view.data, view.data + view.size(), expected) != view.size()) state.SkipWithError("wrong answer");
  state.SetBytesProcessed(state.iterations() * view.size() * 2 * static_cast<std::int64_t>(sizeof(float)));
}
BENCHMARK(affine_cpu)->ArgNames({"n", "threads"})->ArgsProduct({{64, 256, 512}, {1, 2}})->UseRealTime();

}  // namespace
}  // namespace kiban::skeleton
