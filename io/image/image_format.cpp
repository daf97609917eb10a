#include "io/image/image_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "io/dicom_reader.hpp"
#include "io/input_file.hpp"
#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

// Deflate turns at most 1032 bytes into one, TIFF's LZW at most 4096 into 1.5.
constexpr std::int64_t largest_compression_ratio = 2800;

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

bool begins_with(const std::string& text, std::string_view magic) { return text.compare(0, magic.size(), magic) == 0; }

// What the first bytes are, in words; empty for text and for what is not known.
std::string content_name(const std::string& bytes) {
  using namespace std::string_view_literals;
  if (begins_with(bytes, "NRRD"sv)) return name(ImageFormat::nrrd);
  if (begins_with(bytes, "II*\0"sv) || begins_with(bytes, "MM\0*"sv) || begins_with(bytes, "II+\0"sv) ||
      begins_with(bytes, "MM\0+"sv))
    return name(ImageFormat::tiff);
  if (bytes.size() >= 348 && (bytes.compare(344, 4, "n+1\0"sv) == 0 || bytes.compare(344, 4, "ni1\0"sv) == 0))
    return name(ImageFormat::nifti);
  if (bytes.size() >= 348 && bytes.compare(4, 3, "n+2") == 0) return "NIfTI-2 (convert it to NIfTI-1)";
  if (bytes.size() >= 132 && bytes.compare(128, 4, "DICM") == 0) return "DICOM";
  if (begins_with(bytes, "\x1f\x8b"sv)) return "gzip";
  if (begins_with(bytes, "\x89HDF"sv)) return name(ImageFormat::hdf5);
  if (begins_with(bytes, "\x89PNG"sv)) return "PNG";
  if (begins_with(bytes, "\xff\xd8\xff"sv)) return "JPEG";
  if (begins_with(bytes, "<?xml"sv)) return "XML";
  if (bytes.find("NDims") != std::string::npos && bytes.find("DimSize") != std::string::npos)
    return name(ImageFormat::metaimage);
  return "";
}

}  // namespace

std::string name(ImageFormat format) {
  switch (format) {
    case ImageFormat::metaimage:
      return "MetaImage";
    case ImageFormat::nrrd:
      return "NRRD";
    case ImageFormat::nifti:
      return "NIfTI";
    case ImageFormat::tiff:
      return "TIFF";
    case ImageFormat::hdf5:
      return "HDF5";
  }
  return "unknown";
}

void refuse_image(const std::filesystem::path& path, const std::string& sentence) { throw input_error(path, sentence); }

bool is_gzip_name(const std::filesystem::path& path) { return lower_case(path.extension()) == ".gz"; }

bool is_hdf5_name(const std::filesystem::path& path) {
  const std::string extension = lower_case(path.extension());
  return extension == ".h5" || extension == ".hdf5";
}

static std::optional<ImageFormat> format_of_extension(const std::filesystem::path& path) {
  const std::string extension = lower_case(path.extension());
  if (extension == ".mha" || extension == ".mhd") return ImageFormat::metaimage;
  if (extension == ".nrrd" || extension == ".nhdr") return ImageFormat::nrrd;
  if (extension == ".nii" || (extension == ".gz" && lower_case(path.stem().extension()) == ".nii"))
    return ImageFormat::nifti;
  if (extension == ".tif" || extension == ".tiff") return ImageFormat::tiff;
  if (is_hdf5_name(path)) return ImageFormat::hdf5;
  return std::nullopt;
}

ImageFormat format_by_extension(const std::filesystem::path& path) {
  if (const auto format = format_of_extension(path)) return *format;
  refuse_image(path,
               "no image format has this extension; use .mha, .mhd, .nrrd, .nhdr, .nii, .nii.gz, .tif, .tiff, .h5 or "
               ".hdf5");
}

std::vector<std::filesystem::path> dicom_slices(const std::filesystem::path& path) {
  std::error_code ignored;
  if (format_of_extension(path) && !std::filesystem::is_directory(path, ignored)) return {};
  std::vector<std::filesystem::path> files = dicom_files(path);
  if (files.empty()) return files;
  for (std::filesystem::directory_iterator entry(path, ignored), end; !ignored && entry != end;
       entry.increment(ignored))
    if (format_of_extension(entry->path()) == ImageFormat::tiff)
      refuse_image(path, fmt::format("holds DICOM ({}) and TIFF ({}); put one kind into a folder of its own",
                                     files.front().filename().string(), entry->path().filename().string()));
  return files;
}

void require_matching_content(const std::filesystem::path& path, ImageFormat format) {
  const std::string found = content_name(read_bytes(path, 0, 65536));
  const std::string expected = is_gzip_name(path) ? "gzip" : name(format);
  if (found == expected) return;
  if (found.empty())
    refuse_image(path, fmt::format("is named as {} and does not begin as one; check what it is", expected));
  refuse_image(path, fmt::format("is named as {} and holds {}; give it the right extension", expected, found));
}

std::vector<double> parse_numbers(const std::string& text) {
  std::vector<double> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    at = std::find_if(at, end, [](char c) { return c != ' ' && c != '\t' && c != '\r'; });
    if (at == end) return numbers;
    if (*at == '+') ++at;
    double number = 0;
    const auto [next, failure] = std::from_chars(at, end, number);
    const bool ends = next == end || *next == ' ' || *next == '\t' || *next == '\r';
    if (failure != std::errc{} || !ends || !std::isfinite(number)) return {};
    numbers.push_back(number);
    at = next;
  }
}

DeclaredImage check_image_file(const std::filesystem::path& path) {
  const ImageFormat format = format_by_extension(path);
  require_matching_content(path, format);
  const DeclaredImage declared = format == ImageFormat::metaimage ? parse_metaimage_header(path)
                                 : format == ImageFormat::nrrd    ? parse_nrrd_header(path)
                                 : format == ImageFormat::nifti   ? parse_nifti_header(path)
                                                                  : parse_tiff_header(path);
  std::int64_t bytes = declared.bytes_per_value;
  const std::string extents = fmt::format("{}", fmt::join(declared.extents, " x "));
  for (const std::int64_t extent : declared.extents) {
    if (extent < 1 || __builtin_mul_overflow(bytes, extent, &bytes))
      refuse_image(path, fmt::format("its header declares {} pixels, which cannot be; correct its sizes", extents));
  }
  const std::int64_t most =
      declared.compressed ? declared.stored_bytes * largest_compression_ratio : declared.stored_bytes;
  if (bytes > most)
    refuse_image(path,
                 fmt::format("its header declares {} pixels, {} bytes, and the file holds {}{}; it is truncated or "
                             "its sizes are wrong, copy it again",
                             extents, bytes, declared.stored_bytes, declared.compressed ? " compressed" : ""));
  return declared;
}

}  // namespace kiban::io
