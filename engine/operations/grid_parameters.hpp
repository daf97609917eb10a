#pragma once
#include <optional>
#include <string>
#include <vector>

#include "engine/operation.hpp"
#include "engine/operations/voxels_port.hpp"

namespace kiban::engine {

/// The port `like` and the parameters that say which grid a result lies on: of operations that resample.
std::vector<Port> grid_ports();
std::vector<Parameter> grid_parameters();

/// The grid that a request asks for.
///   from     what is resampled, with its place in space
///   placed   whether somebody said where that is, which a grid `like` then must have said, too; none: no matter
/// Errors: usage (they contradict each other; an orientation that names no axes; a grid like one without a place).
Grid requested_grid(const Request& request, const Grid& from, std::optional<bool> placed);

/// The same voxels along other axes.   orientation   three letters, where x, y, z indices grow to: LPS. Errors: usage
/// (it names no axes).
Grid oriented(const Grid& grid, const std::string& orientation);

}  // namespace kiban::engine
