#pragma once
#include <itkImageIOBase.h>

#include <filesystem>
#include <functional>

#include "io/image/image_format.hpp"
#include "kernels/core/volume.hpp"

// The seam to ITK: included by .cpp files of this folder only.
namespace kiban::io {

/// The ImageIO that reads (writes) `path`, its file name set. Registers the factories of our formats on first use, and
/// turns off what ITK and its libraries print.
/// Errors: input (no factory takes the file).
itk::ImageIOBase::Pointer create_image_io(const std::filesystem::path& path, itk::IOFileModeEnum mode);

/// Runs `work`, one caller at a time and in the C locale: parts of ITK's libraries keep global state, and write numbers
/// as the host program's locale has them.
/// Errors: input (`work` threw an ITK exception; names file and format, with its reason; or memory is short).
void run_itk(const std::filesystem::path& path, const std::function<void()>& work);

/// Slices [begin, end) of the third axis; `dimensions` 2 has one slice, and 4 all `volumes`.
itk::ImageIORegion slice_region(const Shape<3>& shape, unsigned dimensions, std::int64_t begin, std::int64_t end,
                                std::int64_t volumes = 1);

}  // namespace kiban::io
