#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kiban::io {

enum class ImageFormat { metaimage, nrrd, nifti, tiff, hdf5 };

/// Its name in a sentence: "MetaImage".
std::string name(ImageFormat format);

/// By the extension, upper or lower case. Errors: input (no format has it; lists those that do).
ImageFormat format_by_extension(const std::filesystem::path& path);

/// True for `.gz`.
bool is_gzip_name(const std::filesystem::path& path);
/// True for `.h5` and `.hdf5`.
bool is_hdf5_name(const std::filesystem::path& path);

/// What a folder has of DICOM, or a file that is and is named as no other image. Nothing where there is none.
/// Errors: input (the folder holds TIFF files, too).
std::vector<std::filesystem::path> dicom_slices(const std::filesystem::path& path);

/// Errors: input (the first bytes belong to another format than the extension says, or to none).
void require_matching_content(const std::filesystem::path& path, ImageFormat format);

/// What a file's own header declares. The parsers below read it before any library does: those allocate what a header
/// asks for, and some overrun fixed buffers on a header that is out of bounds.
struct DeclaredImage {
  std::vector<std::int64_t> extents;  ///< fastest first, every axis of the file, components included
  std::int64_t bytes_per_value = 0;
  std::int64_t stored_bytes = 0;  ///< that the file, or its data file, holds for pixels
  bool compressed = false;
  bool rescaled = false;            ///< slope x + intercept stand for what is stored
  std::int64_t data_offset = 0;     ///< of the first pixel in `data_path`
  std::filesystem::path data_path;  ///< the file with the pixels
};

/// Errors of all four: input (broken header; a field that is missing, out of bounds or not supported; names the field).
DeclaredImage parse_metaimage_header(const std::filesystem::path& path);
DeclaredImage parse_nrrd_header(const std::filesystem::path& path);
DeclaredImage parse_nifti_header(const std::filesystem::path& path);
DeclaredImage parse_tiff_header(const std::filesystem::path& path);

/// Parses the header, then weighs it against the file. Not for HDF5, which io/hdf5/hdf5_image.hpp opens.
/// Errors: input (as above; an extent below 1; more pixels than the file can hold).
DeclaredImage check_image_file(const std::filesystem::path& path);

/// Splits a header's text at white space and reads finite numbers. Empty where one is none.
std::vector<double> parse_numbers(const std::string& text);

/// The Error for a header: "FILE: SENTENCE".
[[noreturn]] void refuse_image(const std::filesystem::path& path, const std::string& sentence);

}  // namespace kiban::io
