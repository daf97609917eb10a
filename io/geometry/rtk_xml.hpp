#pragma once
#include <filesystem>

#include "kernels/core/circular_geometry.hpp"

namespace kiban::io {

/// Reads RTK's geometry XML, versions 2 and 3: global values, overridden from a projection on.
/// Errors: input (missing or broken XML, another version, an unknown element, a number that is none, no distance to the
/// isocentre, a cylindrical detector, a `<Matrix>` that differs by more than 1e-3 from what the parameters give; names
/// the projection).
CircularGeometry read_rtk_xml(const std::filesystem::path& path);

/// Writes version 3, which RTK reads: parameters that all views share once, the rest and the matrix per projection,
/// every number so that it reads back to the same bits. Errors: input (no view, a parameter that is not finite, cannot
/// be written).
void write_rtk_xml(const std::filesystem::path& path, const CircularGeometry& geometry);

}  // namespace kiban::io
