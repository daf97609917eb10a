#pragma once
#include "kernels/core/backends.hpp"
#include "kernels/ct/flat_field.hpp"

namespace kiban::ct {

/// Below this a transmission is noise or a shadow: 1e-5 is under one count of a 16-bit detector.
inline constexpr float kLeastTransmission = 1e-5f;

KIBAN_BACKENDS(correct_flat_field, Stream& stream, Span<const float, 2> dark, Span<const float, 2> gain,
               Span<const FlatFieldPlan::Bridge, 1> bridges, Span<const float, 3> counts, Span<float, 3> line_integrals)

}  // namespace kiban::ct
