#pragma once
#include <cstdint>
#include <vector>

#include "kernels/core/array.hpp"

namespace kiban::ct {

/// What the detector shows without a beam and without an object, and how to read across its dead pixels.
///   dark [row,column]   counts: mean of the dark frames, in double; 0 without any
///   gain [row,column]   1/counts: 1 / (mean flat - mean dark); 0 for a dead pixel, one whose flat is not above its
///   dark
struct FlatFieldPlan {
  /// p[pixel] = (1 - weight) p[left] + weight p[right]: the nearest live pixels of the row, or of the nearest row with
  /// any.
  struct Bridge {
    std::int64_t pixel, left, right;  ///< row * columns + column
    float weight;
  };
  Array<float, 2> dark, gain;
  std::vector<Bridge> bridges;  ///< one a dead pixel, in order
};

/// Means of the frames of a raw scan.
///   flats  [frame,row,column]  counts, at least one; host memory
///   darks  [frame,row,column]  counts, none or more; host memory
/// Errors: input (no flat, shapes differ, a value is not finite, more dead pixels than live ones).
FlatFieldPlan plan_flat_field(Span<const float, 3> flats, Span<const float, 3> darks);

/// Line integrals of a transmission scan:  p = -ln(max((I - dark) gain, 1e-5)), dead pixels bridged in p
///   counts          [view,row,column]  as the detector gives them, finite; on the stream's device
///   line_integrals  [view,row,column]  no unit; may be `counts` itself
/// A transmission below 1e-5, zero or negative (noise behind a dense object) counts as 1e-5: p is at most 11.5.
/// Errors: internal (shapes) · device (memory elsewhere).
/// Cost: one logarithm a pixel; bytes: reads and writes each pixel once. No workspace. Asynchronous on a GPU.
/// Exactness: relative L2 <= 1e-6 of double; independent of threads and of how views are cut.
/// Source: Kak & Slaney 1988, section 4.1 (the negative logarithm of the transmission).
class FlatField {
 public:
  FlatField(Stream& stream, const FlatFieldPlan& plan);
  void run(Stream& stream, Span<const float, 3> counts, Span<float, 3> line_integrals) const;

 private:
  Array<float, 2> dark_, gain_;
  Array<FlatFieldPlan::Bridge, 1> bridges_;
};

}  // namespace kiban::ct
