// What is done with components that are known: their runs are found once more, which costs less than to keep them.
#include <atomic>
#include <cstring>

#include "kernels/core/parallel.hpp"
#include "kernels/image/components.hpp"
#include "kernels/image/components_cpu.hpp"
#include "kernels/image/label_rows_cpu.hpp"

namespace kiban::image::cpu {
namespace {

/// Calls `body(row, runs, value_of_run, count)` for every row. The value: of the run's component, or without values the
/// component's number.
template <class Body>
void for_each_row(Stream& stream, const ComponentProblem& problem, const ComponentState& state,
                  std::span<const std::uint32_t> value_of, const Body& body) {
  const Bands bands(problem.labels.shape());
  const auto find_runs = row_functions(problem.labels.type()).find_runs;
  const std::uint32_t* const numbers = state.numbers.host().data;
  const std::int64_t row_bytes = bands.columns * bytes_of(problem.labels.type());
  parallel_for(stream, bands.count, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<Run> runs(static_cast<std::size_t>(bands.columns + 1));
    std::vector<std::uint32_t> looked_up(runs.size());
    for (std::int64_t band = begin; band < end; ++band) {
      const std::uint32_t* number = numbers + state.first_runs[static_cast<std::size_t>(band)];
      for (std::int64_t row = bands.first_row_of_band(band); row < bands.first_row_of_band(band + 1); ++row) {
        const auto* labels = static_cast<const char*>(problem.labels.data()) + row * row_bytes;
        const std::int64_t count = find_runs(labels, bands.columns, problem.joined == Joined::background, runs.data());
        if (!value_of.empty())
          std::transform(number, number + count, looked_up.begin(), [&](std::uint32_t n) { return value_of[n - 1]; });
        body(row, runs.data(), value_of.empty() ? number : looked_up.data(), count);
        number += count;
      }
    }
  });
}

/// The labels that the faces of a run of the background touch.
template <class T>
struct Surroundings {
  explicit Surroundings(const ComponentProblem& p) : labels(p.labels.as<T>().host()) {}

  template <class Found>
  void each(std::int64_t row, const Run& run, const Found& found) const {
    const std::int64_t columns = labels.shape[2], rows_of_slice = labels.shape[1], y = row % rows_of_slice;
    const T* const line = labels.data + row * columns;
    if (run.begin > 0) found(line[run.begin - 1]);
    if (run.end < columns) found(line[run.end]);
    const auto beside = [&](bool is_there, std::int64_t offset) {
      for (std::int64_t x = run.begin; is_there && x < run.end; ++x)
        if (const T label = line[x + offset * columns]; label != 0) found(label);
    };
    beside(y > 0, -1);
    beside(y + 1 < rows_of_slice, 1);
    beside(row >= rows_of_slice, -rows_of_slice);
    beside(row + rows_of_slice < labels.shape[0] * rows_of_slice, rows_of_slice);
  }

  ArrayView<const T, 3> labels;
};

template <class T, class Pick>
void atomically(T& place, const Pick& pick) {
  std::atomic_ref<T> shared(place);
  T old = shared.load(std::memory_order_relaxed);
  while (!shared.compare_exchange_weak(old, pick(old), std::memory_order_relaxed)) {
  }
}

void count_voxels(Stream& stream, const ComponentProblem& problem, const ComponentState& state,
                  std::vector<ComponentMeasure>& measures) {
  const Bands bands(problem.labels.shape());
  const std::int64_t slices = problem.labels.extent(0), columns = bands.columns;
  const auto ends = [](std::int64_t at, std::int64_t extent) { return extent > 1 && (at == 0 || at + 1 == extent); };
  for_each_row(stream, problem, state, {},
               [&](std::int64_t row, const Run* runs, const std::uint32_t* numbers, std::int64_t count) {
                 const bool row_at_border =
                     ends(row % bands.rows_of_slice, bands.rows_of_slice) || ends(row / bands.rows_of_slice, slices);
                 for (std::int64_t r = 0; r < count; ++r) {
                   ComponentMeasure& measure = measures[numbers[r] - 1];
                   std::atomic_ref(measure.voxels).fetch_add(runs[r].end - runs[r].begin, std::memory_order_relaxed);
                   std::atomic_ref(measure.label).store(runs[r].label, std::memory_order_relaxed);
                   if (row_at_border || (columns > 1 && (runs[r].begin == 0 || runs[r].end == columns)))
                     std::atomic_ref(measure.touches_border).store(true, std::memory_order_relaxed);
                 }
               });
}

/// Of the background's components in the interior only: what is open to the outside is large, and no hole.
void find_surroundings(Stream& stream, const ComponentProblem& problem, const ComponentState& state,
                       std::vector<ComponentMeasure>& measures) {
  with_label_type(problem.labels.type(), [&]<class T>() {
    const Surroundings<T> surroundings(problem);
    for_each_row(stream, problem, state, {},
                 [&](std::int64_t row, const Run* runs, const std::uint32_t* numbers, std::int64_t count) {
                   for (std::int64_t r = 0; r < count; ++r) {
                     ComponentMeasure& measure = measures[numbers[r] - 1];
                     if (measure.touches_border) continue;
                     surroundings.each(row, runs[r], [&](std::uint32_t label) {
                       atomically(measure.least_label,
                                  [&](std::uint32_t old) { return old ? std::min(old, label) : label; });
                       atomically(measure.largest_label, [&](std::uint32_t old) { return std::max(old, label); });
                     });
                   }
                 });
  });
}

}  // namespace

void measure_components(Stream& stream, const ComponentProblem& problem, const ComponentState& state,
                        std::vector<ComponentMeasure>& measures) {
  count_voxels(stream, problem, state, measures);
  if (problem.joined == Joined::background) find_surroundings(stream, problem, state, measures);
}

void find_marked_components(Stream& stream, const ComponentProblem& problem, const ComponentState& state,
                            const ConstVoxelSpan& marks, std::vector<std::uint32_t>& marked) {
  const auto* const mark = static_cast<const std::uint8_t*>(marks.data());
  const std::int64_t columns = marks.extent(2);
  for_each_row(stream, problem, state, {},
               [&](std::int64_t row, const Run* runs, const std::uint32_t* numbers, std::int64_t count) {
                 for (std::int64_t r = 0; r < count; ++r) {
                   const std::uint8_t* const line = mark + row * columns;
                   const auto is_set = [](std::uint8_t value) { return value != 0; };
                   if (std::any_of(line + runs[r].begin, line + runs[r].end, is_set))
                     std::atomic_ref(marked[numbers[r] - 1]).store(1, std::memory_order_relaxed);
                 }
               });
}

void paint_components(Stream& stream, const ComponentProblem& problem, const ComponentState& state,
                      std::span<const std::uint32_t> value_of, const VoxelSpan& values) {
  const auto paint_runs = row_functions(values.type()).paint_runs;
  const std::int64_t columns = values.extent(2), row_bytes = columns * bytes_of(values.type());
  const bool labels_stay = problem.joined == Joined::background && !value_of.empty();
  const auto* const labels = static_cast<const char*>(problem.labels.data());
  for_each_row(stream, problem, state, value_of,
               [&](std::int64_t row, const Run* runs, const std::uint32_t* value_of_run, std::int64_t count) {
                 auto* const line = static_cast<char*>(values.data()) + row * row_bytes;
                 if (labels_stay && values.data() != problem.labels.data())
                   std::memcpy(line, labels + row * row_bytes, static_cast<std::size_t>(row_bytes));
                 paint_runs(runs, value_of_run, count, columns, labels_stay, line);
               });
}

}  // namespace kiban::image::cpu
