#include "io/image/image_file.hpp"
#include "io/image/image_format.hpp"
#include "io/image/tiff_series.hpp"
#include "kernels/core/error.hpp"

namespace kiban::io {

std::vector<std::filesystem::path> image_files(const std::filesystem::path& path) {
  try {
    if (std::vector<std::filesystem::path> slices = dicom_slices(path); !slices.empty()) return slices;
    if (names_tiff_series(path)) return tiff_series(path);
    const ImageFormat format = format_by_extension(path);
    const std::filesystem::path data = format == ImageFormat::metaimage ? parse_metaimage_header(path).data_path
                                       : format == ImageFormat::nrrd    ? parse_nrrd_header(path).data_path
                                                                        : path;
    if (data != path) return {path, data};
  } catch (const Error&) {  // ImageReader says it better
  }
  return {path};
}

}  // namespace kiban::io
