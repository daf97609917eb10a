#pragma once
#include <string>

#include "kernels/ct/filtered_backprojection.hpp"

namespace kiban::engine {

/// Equal where, and only where, reconstructions may share a plan and its launches: sizes and filter for the reader, and
/// the SHA-256 of every number of geometry, grid and options.
std::string reconstruction_key(const ct::Geometry& geometry, const Grid& grid,
                               const ct::FilteredBackprojectionOptions& options);

}  // namespace kiban::engine
